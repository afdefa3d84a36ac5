#ifndef KILN_DAEMON_PORTS_USB_LIBUSB_HANDLE_H_
#define KILN_DAEMON_PORTS_USB_LIBUSB_HANDLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/ports/usb/usb_device_handle.h"

struct libusb_device_handle;

namespace kiln::ports {

// A device on the real bus, by libusb. Holds its node locked, its interfaces claimed, and the
// kernel's driver detached for as long as it lives.
class LibusbHandle final : public UsbDeviceHandle {
 public:
  // Where a device is now. `node` is its file, /dev/bus/usb/001/004, open and locked.
  struct Device {
    uint8_t bus = 0;
    uint8_t device_number = 0;
    base::UniqueFd node;
    std::string address;  // for error texts
  };

  // Opens and claims `interfaces`, once: what may pass by itself is the caller's to try again.
  // BoardNotFound when libusb finds nothing there, PortBusy when another program has claimed it,
  // PortPermission, PortFailed. `context` must outlive the handle.
  static absl::StatusOr<std::unique_ptr<LibusbHandle>> Open(UsbContext& context, Device device,
                                                            const std::vector<uint8_t>& interfaces);
  ~LibusbHandle() override;

  absl::Status ControlOut(const UsbSetup& setup, absl::Span<const uint8_t> data) override;
  absl::StatusOr<std::vector<uint8_t>> ControlIn(const UsbSetup& setup, uint16_t length) override;
  absl::Status ClearHalt(uint8_t endpoint) override;
  void Gather(absl::Duration time) override { context_.Gather(time); }
  std::unique_ptr<UsbTransfer> MakeBulk(uint8_t endpoint, size_t capacity, Done done) override;

 private:
  LibusbHandle(UsbContext& context, Device device, libusb_device_handle* handle);

  // Runs one control transfer and returns its data stage.
  absl::StatusOr<std::vector<uint8_t>> Control(const UsbSetup& setup,
                                               absl::Span<const uint8_t> data, uint16_t length);

  UsbContext& context_;
  const Device device_;
  libusb_device_handle* const handle_;
  std::vector<uint8_t> claimed_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_LIBUSB_HANDLE_H_
