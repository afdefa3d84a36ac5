#include "simulator/usb/ch340_model.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/descriptors.h"

namespace kiln::simulator {
namespace {

constexpr uint8_t kIn = 0x82;
constexpr uint8_t kOut = 0x02;
constexpr uint8_t kStatusIn = 0x81;
constexpr uint16_t kMaxPacket = 32;
constexpr size_t kReceiveBuffer = 128;

constexpr uint8_t kToDevice = 0x40;
constexpr uint8_t kFromDevice = 0xC0;

enum Request : uint8_t {
  kReadVersion = 0x5F,
  kReadRegisters = 0x95,
  kWriteRegisters = 0x9A,
  kInitialize = 0xA1,
  kModemControl = 0xA4,
};
enum Register : uint8_t {
  kModemStatus = 0x06,
  kModemStatusHigh = 0x07,
  kPrescaler = 0x12,
  kDivisor = 0x13,
  kLineControl = 0x18,
};

constexpr uint8_t kVersion = 0x31;  // of chips on boards sold since about 2015
// Inverted: a zero asserts the line.
constexpr uint16_t kDtr = 0x20;
constexpr uint16_t kRts = 0x40;

// The rate: 48 MHz, divided by 2^(12 - 3 p) and halved less by the bit `fast`, and by 256 less the
// divisor register.
constexpr uint32_t kClock = 48'000'000;
constexpr uint8_t kPrescalerBits = 0x03;
constexpr uint8_t kFast = 0x04;
// Without it the chip keeps what it receives until a packet is full.
constexpr uint8_t kSendAtOnce = 0x80;

constexpr uint8_t kDataBits = 0x03;
constexpr uint8_t kTwoStopBits = 0x04;
constexpr uint8_t kParityOn = 0x08;
constexpr uint8_t kParityEven = 0x10;
constexpr uint8_t kParityStick = 0x20;
constexpr uint8_t kReceiverOn = 0x80;
constexpr uint8_t kTransmitterOn = 0x40;

constexpr uint8_t kReset8N1 = kReceiverOn | kTransmitterOn | kDataBits;

}  // namespace

Ch340Model::Ch340Model(std::unique_ptr<SerialPeer> peer)
    : UsbDeviceModel(UsbSpeed::kFull),
      port_(AddPort(std::make_unique<SerialPort>(std::move(peer), kReceiveBuffer))) {
  SetDescriptors(DeviceDescriptor(0x1A86, 0x7523, 0x0264, kVendorClass),
                 ConfigurationDescriptor(
                     1, {InterfaceDescriptor(0, 3, {0xFF, 1, 2}), BulkEndpoint(kIn, kMaxPacket),
                         BulkEndpoint(kOut, kMaxPacket), InterruptEndpoint(kStatusIn, 8, 1)}));
  // CH340s have no serial number, and most no manufacturer's name.
  SetString(2, "USB Serial");
}

bool Ch340Model::TakePacket(absl::Duration now, uint8_t, absl::Span<const uint8_t> packet) {
  if (!port_.CanTake(now)) return false;
  if ((line_control_ & kTransmitterOn) != 0) port_.FromHost(now, packet);
  return true;
}

std::optional<UsbDeviceModel::Bytes> Ch340Model::GivePacket(absl::Duration now, uint8_t endpoint) {
  // The modem inputs never change, so that there is never a status to report.
  if (endpoint != kIn) return std::nullopt;
  if ((prescaler_ & kSendAtOnce) == 0 && port_.Waiting(now) < kMaxPacket) return std::nullopt;
  return port_.NextPacket(now, kMaxPacket);
}

SerialPort* Ch340Model::PortOfEndpoint(uint8_t endpoint) {
  return endpoint == kIn ? &port_ : nullptr;
}

void Ch340Model::ForgetSettings(absl::Duration) {
  prescaler_ = divisor_ = 0;
  line_control_ = kReset8N1;
  ApplyFrame();
}

std::optional<UsbDeviceModel::Bytes> Ch340Model::Answer(absl::Duration now, const UsbSetup& setup,
                                                        absl::Span<const uint8_t> data) {
  if (setup.type == kFromDevice && setup.request == kReadVersion) return Bytes{kVersion, 0};
  if (setup.type == kFromDevice && setup.request == kReadRegisters) {
    return Bytes{ReadRegister(setup.value & 0xFF),
                 ReadRegister(static_cast<uint8_t>(setup.value >> 8))};
  }
  if (setup.type != kToDevice || !data.empty()) return std::nullopt;
  switch (setup.request) {
    case kInitialize:
      return Bytes();
    case kWriteRegisters:
      WriteRegister(setup.value & 0xFF, setup.index & 0xFF);
      WriteRegister(static_cast<uint8_t>(setup.value >> 8), static_cast<uint8_t>(setup.index >> 8));
      if ((setup.value & 0xFF) == kPrescaler || setup.value >> 8 == kDivisor) ApplyRate();
      return Bytes();
    case kModemControl:
      port_.SetLines(now, (setup.value & kDtr) == 0, (setup.value & kRts) == 0);
      return Bytes();
    default:
      return std::nullopt;
  }
}

void Ch340Model::WriteRegister(uint8_t number, uint8_t value) {
  if (number == kPrescaler) prescaler_ = value;
  if (number == kDivisor) divisor_ = value;
  if (number == kLineControl) {
    line_control_ = value;
    ApplyFrame();
  }
}

uint8_t Ch340Model::ReadRegister(uint8_t number) const {
  switch (number) {
    case kModemStatus:
      return 0x9F;  // what Linux' driver expects; its low bits are the inputs, inverted
    case kModemStatusHigh:
      return 0xEE;
    case kPrescaler:
      return prescaler_;
    case kDivisor:
      return divisor_;
    case kLineControl:
      return line_control_;
    default:
      return 0;
  }
}

void Ch340Model::ApplyRate() {
  const int shift = 12 - 3 * (prescaler_ & kPrescalerBits) - ((prescaler_ & kFast) != 0 ? 1 : 0);
  const uint32_t divider = (256u - divisor_) << shift;
  port_.SetBaudRate((kClock + divider / 2) / divider);
}

void Ch340Model::ApplyFrame() {
  char parity = 'N';
  if ((line_control_ & kParityOn) != 0) {
    const bool even = (line_control_ & kParityEven) != 0;
    parity = (line_control_ & kParityStick) != 0 ? (even ? 'S' : 'M') : (even ? 'E' : 'O');
  }
  port_.SetFrame(static_cast<uint8_t>(5 + (line_control_ & kDataBits)), parity,
                 (line_control_ & kTwoStopBits) != 0 ? 4 : 2);
  port_.SetEnabled((line_control_ & kReceiverOn) != 0);
}

}  // namespace kiln::simulator
