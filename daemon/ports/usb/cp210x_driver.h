#ifndef KILN_DAEMON_PORTS_USB_CP210X_DRIVER_H_
#define KILN_DAEMON_PORTS_USB_CP210X_DRIVER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// Silicon Labs' CP210x family (application note AN571). One interface is one UART. Threads as
// UsbSerialDriver says.
class Cp210xDriver final : public UsbSerialDriver {
 public:
  // `handle` must outlive the driver.
  Cp210xDriver(const UsbAdapter& adapter, const UsbSerialLayout& layout, UsbDeviceHandle& handle);

  absl::Status Start() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  absl::Status SetLines(bool dtr, bool rts) override;
  absl::StatusOr<UsbOutput> Output() override;

 private:
  absl::Status EndFlowControl();
  absl::Status Send(uint8_t request, uint16_t value, absl::Span<const uint8_t> data = {});
  // OK also when the chip refuses: a clone that does not know a setting has none to take back.
  absl::Status SendIfKnown(uint8_t request, uint16_t value, absl::Span<const uint8_t> data = {});

  const UsbAdapter& adapter_;
  const uint16_t interface_;
  UsbDeviceHandle& handle_;
  uint8_t part_number_ = 0;  // 0 when the chip does not tell
};

// The rate, in bits per second, that the chip makes when asked for `baud` on its interface, as its
// part number tells; 0 when it is beyond the chip's range.
double Cp210xRate(uint8_t part_number, uint16_t interface, uint32_t baud);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_CP210X_DRIVER_H_
