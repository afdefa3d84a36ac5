#ifndef KILN_DAEMON_PORTS_USB_CDC_ACM_DRIVER_H_
#define KILN_DAEMON_PORTS_USB_CDC_ACM_DRIVER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// The abstract control model of USB's communication class (CDC PSTN 1.2): WCH's newer bridges and
// the chips' own USB. To Espressif's USB-Serial/JTAG the lines are commands; the reset sequences in
// esp/reset.cc know them. Threads as UsbSerialDriver says.
class CdcAcmDriver final : public UsbSerialDriver {
 public:
  // `handle` must outlive the driver.
  CdcAcmDriver(const UsbAdapter& adapter, const UsbSerialLayout& layout, UsbDeviceHandle& handle);

  absl::Status Start() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  absl::Status SetLines(bool dtr, bool rts) override;

 private:
  const UsbAdapter& adapter_;
  const uint16_t interface_;
  UsbDeviceHandle& handle_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_CDC_ACM_DRIVER_H_
