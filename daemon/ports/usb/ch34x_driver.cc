#include "daemon/ports/usb/ch34x_driver.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

constexpr uint8_t kToDevice = 0x40;
constexpr uint8_t kFromDevice = 0xc0;
constexpr uint8_t kReadVersion = 0x5f;
constexpr uint8_t kWriteRegisters = 0x9a;
constexpr uint8_t kInitialise = 0xa1;
constexpr uint8_t kModemControl = 0xa4;

// A write names two registers in its value and their contents in its index, low byte first.
constexpr uint16_t kPrescalerAndDivisor = 0x1312;
constexpr uint16_t kLineControl = 0x2518;

constexpr uint8_t kVersionSize = 2;
// The first version with the line control registers; older chips are 8N1 and nothing else here.
constexpr uint8_t kFirstWithLineControl = 0x30;
// Up to this version, the flag is the other way round.
constexpr uint8_t kLastSendingAtOnce = 0x27;
// Hand over what arrives at once, not only full packets of 32 bytes.
constexpr uint8_t kSendAtOnce = 0x80;

// Receiver and transmitter on, eight bits, no parity, one stop bit.
constexpr uint16_t kEightNone1 = 0xc3;
// Modem control takes the lines inverted; the other bits stay at one.
constexpr uint16_t kDtr = 0x20;
constexpr uint16_t kRts = 0x40;

// The rate is 48 MHz / 2^(12 - 3 * prescaler - fast) / divisor.
constexpr double kClock = 48'000'000;
constexpr int kPrescalers = 4;
constexpr uint8_t kFast = 0x04;
constexpr double kMinDivisor = 2;
constexpr double kMaxDivisor = 256;
// The fast clock needs a larger divisor, and some chips have it with the last prescaler only; no
// rate is lost by never using it with another.
constexpr double kMinFastDivisor = 9;
constexpr double kMaxFastDivisor = 255;
constexpr uint32_t kMinBaud = 46;
constexpr uint32_t kMaxBaud = 3'000'000;

}  // namespace

std::optional<Ch34xDivisor> FindCh34xDivisor(uint32_t baud) {
  if (baud < kMinBaud || baud > kMaxBaud) return std::nullopt;
  std::optional<Ch34xDivisor> best;
  const auto consider = [&](int prescaler, bool fast) {
    const double clock = kClock / (1 << (12 - 3 * prescaler - (fast ? 1 : 0)));
    const double divisor =
        std::clamp(std::round(clock / baud), fast ? kMinFastDivisor : kMinDivisor,
                   fast ? kMaxFastDivisor : kMaxDivisor);
    const double made = clock / divisor;
    if (best.has_value() && std::abs(made - baud) >= std::abs(best->made - baud)) return;
    best = {.prescaler = static_cast<uint8_t>(prescaler | (fast ? kFast : 0)),
            .divisor = static_cast<uint8_t>(256 - static_cast<int>(divisor)),
            .made = made};
  };
  // The slow clock first: with the same rate, it makes the receiver more tolerant.
  for (int prescaler = kPrescalers - 1; prescaler >= 0; --prescaler) consider(prescaler, false);
  consider(kPrescalers - 1, true);
  return best;
}

Ch34xDriver::Ch34xDriver(const UsbAdapter& adapter, UsbDeviceHandle& handle)
    : adapter_(adapter), handle_(handle) {}

absl::Status Ch34xDriver::Start() {
  ASSIGN_OR_RETURN(const auto version,
                   handle_.ControlIn({kFromDevice, kReadVersion, 0, 0}, kVersionSize),
                   _ << "reading the version");
  if (version.empty()) {
    return errors::MakeError(errors::ErrorCode::kPortFailed, "the adapter tells no version");
  }
  version_ = version.front();
  RETURN_IF_ERROR(Send(kInitialise, 0, 0)) << "initialising";
  return SetBaudRate(kUsbInitialBaud);
}

absl::Status Ch34xDriver::SetBaudRate(uint32_t baud) {
  const auto found = FindCh34xDivisor(baud);
  RETURN_IF_ERROR(CheckBaudRate(adapter_.name, found.has_value() ? found->made : 0, baud));
  const int prescaler = found->prescaler | (version_ > kLastSendingAtOnce ? kSendAtOnce : 0);
  const auto registers = static_cast<uint16_t>(found->divisor << 8 | prescaler);
  RETURN_IF_ERROR(Send(kWriteRegisters, kPrescalerAndDivisor, registers)) << "setting the rate";
  if (version_ < kFirstWithLineControl) return absl::OkStatus();
  // After every change: some chips forget it with the rate.
  RETURN_IF_ERROR(Send(kWriteRegisters, kLineControl, kEightNone1)) << "setting 8N1";
  return absl::OkStatus();
}

absl::Status Ch34xDriver::SetLines(bool dtr, bool rts) {
  const int asserted = (dtr ? kDtr : 0) | (rts ? kRts : 0);
  RETURN_IF_ERROR(Send(kModemControl, static_cast<uint16_t>(~asserted), 0))
      << "setting DTR and RTS";
  return absl::OkStatus();
}

absl::Status Ch34xDriver::Send(uint8_t request, uint16_t value, uint16_t index) {
  return handle_.ControlOut({kToDevice, request, value, index}, {});
}

}  // namespace kiln::ports
