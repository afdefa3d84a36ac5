#include "daemon/ports/usb/ftdi_driver.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/ftdi_packets.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {
namespace {

constexpr uint8_t kToDevice = 0x40;
constexpr uint8_t kReset = 0;
constexpr uint8_t kModemControl = 1;
constexpr uint8_t kFlowControl = 2;
constexpr uint8_t kBaudRate = 3;
constexpr uint8_t kData = 4;
constexpr uint8_t kLatencyTimer = 9;

constexpr uint16_t kResetAll = 0;
constexpr uint16_t kNoFlowControl = 0;
constexpr uint16_t kEightNone1 = 8;
// Milliseconds until a packet that is not full is sent. Short ones make a loader's short answers
// come at once, and an adapter with nothing to say send a thousand packets of status a second. The
// long ones are what the chips start with.
constexpr uint16_t kResponsiveLatency = 1;
constexpr uint16_t kRelaxedLatency = 16;
// Modem control: the lines in bits 0 and 1; bits 8 and 9 say which of them change.
constexpr uint16_t kDtr = 0x0001;
constexpr uint16_t kRts = 0x0002;
constexpr uint16_t kBothMask = 0x0300;

// The first report that is surely made after the drain began: one may have been on its way.
constexpr uint64_t kReportsToWait = 2;

// bcdDevice of the types with a 120 MHz clock: FT2232H (0700), FT4232H (0800), FT232H (0900), and
// the HP and HA types from 2800 on. FT-X is 1000.
constexpr uint16_t kFirstHighSpeed = 0x0700;
constexpr uint16_t kLastHighSpeed = 0x0900;
constexpr uint16_t kFirstLaterHighSpeed = 0x2800;
constexpr uint16_t kXSeries = 0x1000;

bool HasHighSpeedClock(uint16_t release) {
  return (release >= kFirstHighSpeed && release <= kLastHighSpeed) ||
         release >= kFirstLaterHighSpeed;
}

// Chips of one old channel want 0; all others count their channels from 1 ("A").
uint8_t ChannelOf(const UsbAdapter& adapter, const UsbSerialLayout& layout, uint16_t release) {
  if (adapter.serial_ports == 1 && !HasHighSpeedClock(release) && release != kXSeries) return 0;
  return static_cast<uint8_t>(layout.control_interface + 1);
}

// AN232B-05: the rate is the clock through a whole divisor and eighths, whose codes do not count
// up. Divisors 1 and 1.5 are written as 0 and 1, and nothing lies between them, nor between 1.5
// and 2.
constexpr double kClock = 3'000'000;
constexpr double kHighSpeedClock = 12'000'000;
// The H types' fast clock does not reach below; they have the old clock, too.
constexpr uint32_t kMinHighSpeedBaud = 1'200;
constexpr uint32_t kSelectHighSpeed = 0x20000;
constexpr uint32_t kEighthCodes[8] = {0, 3, 2, 4, 1, 5, 6, 7};
constexpr int kFractionShift = 14;
constexpr double kMaxEighths = 0x3fff * 8 + 7;

}  // namespace

FtdiDivisor FindFtdiDivisor(bool high_speed_clock, uint32_t baud) {
  const bool fast = high_speed_clock && baud >= kMinHighSpeedBaud;
  const double clock = fast ? kHighSpeedClock : kClock;
  auto eighths = static_cast<uint32_t>(std::clamp(std::round(clock * 8 / baud), 8.0, kMaxEighths));
  if (eighths > 8 && eighths < 16) eighths = eighths < 10 ? 8 : (eighths < 14 ? 12 : 16);
  uint32_t encoded = (eighths >> 3) | kEighthCodes[eighths & 7] << kFractionShift;
  if (eighths == 8) encoded = 0;
  if (eighths == 12) encoded = 1;
  if (fast) encoded |= kSelectHighSpeed;
  return {.encoded = encoded, .made = clock * 8 / eighths};
}

FtdiDriver::FtdiDriver(const UsbAdapter& adapter, const UsbSerialLayout& layout, uint16_t release,
                       UsbDeviceHandle& handle)
    : adapter_(adapter),
      high_speed_clock_(HasHighSpeedClock(release)),
      channel_(ChannelOf(adapter, layout, release)),
      max_packet_(layout.in.max_packet),
      handle_(handle) {}

absl::Status FtdiDriver::Start() {
  RETURN_IF_ERROR(Send(kReset, kResetAll)) << "resetting";
  RETURN_IF_ERROR(Send(kData, kEightNone1)) << "setting 8N1";
  RETURN_IF_ERROR(Send(kFlowControl, kNoFlowControl)) << "setting flow control";
  RETURN_IF_ERROR(SetResponsive(true));
  return SetBaudRate(kUsbInitialBaud);
}

absl::Status FtdiDriver::SetBaudRate(uint32_t baud) {
  const FtdiDivisor divisor = FindFtdiDivisor(high_speed_clock_, baud);
  RETURN_IF_ERROR(CheckBaudRate(adapter_.name, divisor.made, baud));
  // The upper bits travel in the index: above the channel where there is one, else in its place.
  const auto high = static_cast<uint8_t>(divisor.encoded >> 16);
  const auto value = static_cast<uint16_t>(divisor.encoded);
  if (channel_ == 0) {
    RETURN_IF_ERROR(handle_.ControlOut({kToDevice, kBaudRate, value, high}, {}))
        << "setting the rate";
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Send(kBaudRate, value, high)) << "setting the rate";
  return absl::OkStatus();
}

absl::Status FtdiDriver::SetLines(bool dtr, bool rts) {
  const auto value = static_cast<uint16_t>(kBothMask | (dtr ? kDtr : 0) | (rts ? kRts : 0));
  RETURN_IF_ERROR(Send(kModemControl, value)) << "setting DTR and RTS";
  return absl::OkStatus();
}

absl::Status FtdiDriver::SetResponsive(bool responsive) {
  RETURN_IF_ERROR(Send(kLatencyTimer, responsive ? kResponsiveLatency : kRelaxedLatency))
      << "setting the latency timer";
  return absl::OkStatus();
}

void FtdiDriver::Unpack(absl::Span<const uint8_t> transfer, std::vector<uint8_t>& bytes) {
  if (transfer.size() < kFtdiStatusSize) return;
  const uint16_t status = UnpackFtdi(transfer, max_packet_, bytes);
  absl::MutexLock lock(&mutex_);
  ++reports_;
  transmitter_empty_ = (status & kFtdiTransmitterEmpty) != 0;
}

void FtdiDriver::BeginDrain() {
  absl::MutexLock lock(&mutex_);
  drain_began_at_ = reports_;
}

absl::StatusOr<UsbOutput> FtdiDriver::Output() {
  absl::MutexLock lock(&mutex_);
  const bool recent = reports_ >= drain_began_at_ + kReportsToWait;
  return recent && transmitter_empty_ ? UsbOutput::kEmpty : UsbOutput::kHolding;
}

absl::Status FtdiDriver::Send(uint8_t request, uint16_t value, uint8_t index_high) {
  const auto index = static_cast<uint16_t>(index_high << 8 | channel_);
  return handle_.ControlOut({kToDevice, request, value, index}, {});
}

}  // namespace kiln::ports
