#include "daemon/ports/usb/serial_driver.h"

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/cdc_acm_driver.h"
#include "daemon/ports/usb/ch34x_driver.h"
#include "daemon/ports/usb/cp210x_driver.h"
#include "daemon/ports/usb/ftdi_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

constexpr double kMaxBaudError = 0.025;

}  // namespace

void UsbSerialDriver::Unpack(absl::Span<const uint8_t> transfer, std::vector<uint8_t>& bytes) {
  bytes.insert(bytes.end(), transfer.begin(), transfer.end());
}

std::unique_ptr<UsbSerialDriver> MakeUsbSerialDriver(const UsbAdapter& adapter,
                                                     const UsbSerialLayout& layout,
                                                     uint16_t release, UsbDeviceHandle& handle) {
  switch (adapter.driver) {
    case UsbDriver::kCp210x:
      return std::make_unique<Cp210xDriver>(adapter, layout, handle);
    case UsbDriver::kCh34x:
      return std::make_unique<Ch34xDriver>(adapter, handle);
    case UsbDriver::kFtdi:
      return std::make_unique<FtdiDriver>(adapter, layout, release, handle);
    case UsbDriver::kCdcAcm:
    case UsbDriver::kKernelOnly:
      break;
  }
  return std::make_unique<CdcAcmDriver>(adapter, layout, handle);
}

absl::Status CheckBaudRate(absl::string_view adapter, double made, uint32_t asked) {
  if (std::abs(made - asked) <= asked * kMaxBaudError) return absl::OkStatus();
  return errors::MakeError(errors::ErrorCode::kBaudRateUnsupported,
                           absl::StrCat(adapter, " makes ", static_cast<uint32_t>(made),
                                        " baud where ", asked, " was asked for"));
}

}  // namespace kiln::ports
