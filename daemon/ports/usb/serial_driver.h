#ifndef KILN_DAEMON_PORTS_USB_SERIAL_DRIVER_H_
#define KILN_DAEMON_PORTS_USB_SERIAL_DRIVER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// What an adapter still holds of the bytes it took.
enum class UsbOutput {
  kEmpty,    // all are on the wire
  kHolding,  // some are not yet
  kUnknown,  // the adapter cannot say
};

// Speaks one family's control protocol. Owned by a stream, which calls it from its own thread, but
// for Unpack. Errors as UsbDeviceHandle's, unless a function says more.
class UsbSerialDriver {
 public:
  virtual ~UsbSerialDriver() = default;

  // Wakes the adapter up: 115200 baud, 8N1, no flow control, empty buffers. Leaves the modem lines.
  virtual absl::Status Start() = 0;
  // BaudRateUnsupported, with nothing changed, when the adapter's clock makes no rate within 2.5 %.
  virtual absl::Status SetBaudRate(uint32_t baud) = 0;
  // Both lines in one request.
  virtual absl::Status SetLines(bool dtr, bool rts) = 0;

  // Whether an answer may come at any moment. While none is expected, an adapter that reports also
  // when it has nothing to report need not do so as often. On after Start.
  virtual absl::Status SetResponsive(bool /*responsive*/) { return absl::OkStatus(); }

  // Takes the serial bytes out of what one bulk transfer brought and appends them to `bytes`.
  // Called on the event thread.
  virtual void Unpack(absl::Span<const uint8_t> transfer, std::vector<uint8_t>& bytes);

  // Asked again and again after BeginDrain, which comes once all transfers are done.
  virtual void BeginDrain() {}
  virtual absl::StatusOr<UsbOutput> Output() { return UsbOutput::kUnknown; }
};

// The driver of `adapter`, which is not kKernelOnly. `release` is the device's bcdDevice; `handle`
// must outlive the driver.
std::unique_ptr<UsbSerialDriver> MakeUsbSerialDriver(const UsbAdapter& adapter,
                                                     const UsbSerialLayout& layout,
                                                     uint16_t release, UsbDeviceHandle& handle);

// The rate every driver starts with: the ROM loaders' first.
inline constexpr uint32_t kUsbInitialBaud = 115'200;

// BaudRateUnsupported unless `made` is within 2.5 % of `asked`: a UART samples ten bits from one
// edge, so with more the last bit may be misread.
absl::Status CheckBaudRate(absl::string_view adapter, double made, uint32_t asked);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_SERIAL_DRIVER_H_
