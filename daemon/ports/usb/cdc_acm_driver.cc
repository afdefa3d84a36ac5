#include "daemon/ports/usb/cdc_acm_driver.h"

#include <cstdint>

#include "absl/status/status.h"
#include "base/little_endian.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {
namespace {

// CDC PSTN 1.2, table 13 and 6.3.
constexpr uint8_t kToInterface = 0x21;
constexpr uint8_t kSetLineCoding = 0x20;
constexpr uint8_t kSetControlLineState = 0x22;
constexpr uint16_t kDtr = 0x0001;
constexpr uint16_t kRts = 0x0002;
constexpr uint8_t kEightBits = 8;
constexpr int kLineCodingSize = 7;

}  // namespace

CdcAcmDriver::CdcAcmDriver(const UsbAdapter& adapter, const UsbSerialLayout& layout,
                           UsbDeviceHandle& handle)
    : adapter_(adapter), interface_(layout.control_interface), handle_(handle) {}

absl::Status CdcAcmDriver::Start() { return SetBaudRate(kUsbInitialBaud); }

absl::Status CdcAcmDriver::SetBaudRate(uint32_t baud) {
  // The device takes any number; the data sheet alone says where its clock ends.
  RETURN_IF_ERROR(
      CheckBaudRate(adapter_.name, baud <= adapter_.max_baud ? baud : adapter_.max_baud, baud));
  // The rate, one stop bit (0), no parity (0), eight bits.
  uint8_t coding[kLineCodingSize] = {};
  base::StoreLe32(coding, baud);
  coding[6] = kEightBits;
  RETURN_IF_ERROR(handle_.ControlOut({kToInterface, kSetLineCoding, 0, interface_}, coding))
      << "setting the rate";
  return absl::OkStatus();
}

absl::Status CdcAcmDriver::SetLines(bool dtr, bool rts) {
  const auto value = static_cast<uint16_t>((dtr ? kDtr : 0) | (rts ? kRts : 0));
  RETURN_IF_ERROR(handle_.ControlOut({kToInterface, kSetControlLineState, value, interface_}, {}))
      << "setting DTR and RTS";
  return absl::OkStatus();
}

}  // namespace kiln::ports
