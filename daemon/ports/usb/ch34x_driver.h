#ifndef KILN_DAEMON_PORTS_USB_CH34X_DRIVER_H_
#define KILN_DAEMON_PORTS_USB_CH34X_DRIVER_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// WCH's CH340 and CH341. The maker publishes no protocol; the facts are those that Linux' ch341
// driver states. Threads as UsbSerialDriver says.
class Ch34xDriver final : public UsbSerialDriver {
 public:
  // `handle` must outlive the driver.
  Ch34xDriver(const UsbAdapter& adapter, UsbDeviceHandle& handle);

  absl::Status Start() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  absl::Status SetLines(bool dtr, bool rts) override;

 private:
  absl::Status Send(uint8_t request, uint16_t value, uint16_t index);

  const UsbAdapter& adapter_;
  UsbDeviceHandle& handle_;
  uint8_t version_ = 0;
};

struct Ch34xDivisor {
  uint8_t prescaler;  // register 0x12, without the flag that chips from version 0x28 on need
  uint8_t divisor;    // register 0x13
  double made;        // bits per second
};

// The registers whose rate comes nearest to `baud`; nothing outside 46 to 3 000 000.
std::optional<Ch34xDivisor> FindCh34xDivisor(uint32_t baud);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_CH34X_DRIVER_H_
