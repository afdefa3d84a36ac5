#include "simulator/usb/ftdi_model.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/descriptors.h"

namespace kiln::simulator {
namespace {

constexpr uint16_t kFullSpeedPacket = 64;
constexpr uint16_t kHighSpeedPacket = 512;
constexpr size_t kReceiveBuffer = 256;       // FT232R's data sheet
constexpr size_t kReceiveBufferHigh = 4096;  // FT2232H's
constexpr size_t kStatusSize = 2;

constexpr UsbClass kFtdiClass = {0xFF, 0xFF, 0xFF};
constexpr uint8_t kToDevice = 0x40;
constexpr uint8_t kFromDevice = 0xC0;

enum Request : uint8_t {
  kReset = 0x00,
  kSetModemLines = 0x01,
  kSetFlow = 0x02,
  kSetBaudRate = 0x03,
  kSetData = 0x04,
  kGetModemStatus = 0x05,
  kSetEventCharacter = 0x06,
  kSetErrorCharacter = 0x07,
  kSetLatency = 0x09,
  kGetLatency = 0x0A,
  kSetBitMode = 0x0B,
  kReadPins = 0x0C,
  kReadEeprom = 0x90,
};

enum ResetKind : uint16_t { kResetAll = 0, kPurgeReceive = 1, kPurgeTransmit = 2 };

constexpr uint16_t kDtr = 0x0001;
constexpr uint16_t kRts = 0x0002;
constexpr uint16_t kDtrMask = 0x0100;
constexpr uint16_t kRtsMask = 0x0200;

constexpr uint8_t kModemStatus = 0x31;  // CTS and DSR asserted; bit 0 is always set
constexpr uint8_t kTransmitEmpty = 0x60;

constexpr uint8_t kDefaultLatency = 16;

// AN232B-05: a divisor of 3 MHz in eighths, whose code is not in order: {0, 1/2, 1/4, 1/8, 3/8,
// 5/8, 3/4, 7/8}.
constexpr uint8_t kEighthsOfCode[] = {0, 4, 2, 1, 3, 5, 6, 7};
constexpr uint32_t kClockTimesEight = 24'000'000;
// The FT2232H's other clock of 12 MHz, chosen by bit 17 of the divisor.
constexpr uint32_t kHighClockTimesEight = 96'000'000;

}  // namespace

FtdiModel::FtdiModel(std::unique_ptr<SerialPeer> peer)
    : UsbDeviceModel(UsbSpeed::kFull), high_speed_(false), channels_(1) {
  AddPort(std::make_unique<SerialPort>(std::move(peer), kReceiveBuffer));
  SetDescriptors(DeviceDescriptor(0x0403, 0x6001, 0x0600),
                 ConfigurationDescriptor(1, {InterfaceDescriptor(0, 2, kFtdiClass),
                                             BulkEndpoint(0x81, kFullSpeedPacket),
                                             BulkEndpoint(0x02, kFullSpeedPacket)}));
  SetString(1, "FTDI");
  SetString(2, "FT232R USB UART");
  SetString(3, "A50285BI");
}

FtdiModel::FtdiModel(std::unique_ptr<SerialPeer> a, std::unique_ptr<SerialPeer> b)
    : UsbDeviceModel(UsbSpeed::kHigh), high_speed_(true), channels_(2) {
  AddPort(std::make_unique<SerialPort>(std::move(a), kReceiveBufferHigh));
  AddPort(std::make_unique<SerialPort>(std::move(b), kReceiveBufferHigh));
  SetDescriptors(
      DeviceDescriptor(0x0403, 0x6010, 0x0700),
      ConfigurationDescriptor(
          2, {InterfaceDescriptor(0, 2, kFtdiClass), BulkEndpoint(0x81, kHighSpeedPacket),
              BulkEndpoint(0x02, kHighSpeedPacket), InterfaceDescriptor(1, 2, kFtdiClass),
              BulkEndpoint(0x83, kHighSpeedPacket), BulkEndpoint(0x04, kHighSpeedPacket)}));
  SetString(1, "FTDI");
  SetString(2, "Dual RS232-HS");
  SetString(3, "FT5ABCDE");
}

bool FtdiModel::TakePacket(absl::Duration now, uint8_t endpoint, absl::Span<const uint8_t> packet) {
  SerialPort& port = serial_port(endpoint / 2 - 1);  // 0x02 and 0x04
  if (!port.CanTake(now)) return false;
  port.FromHost(now, packet);
  return true;
}

SerialPort* FtdiModel::PortOfEndpoint(uint8_t endpoint) {
  return &serial_port((endpoint & 0x0F) / 2);  // 0x81 and 0x83
}

std::optional<UsbDeviceModel::Bytes> FtdiModel::GivePacket(absl::Duration now, uint8_t endpoint) {
  SerialPort& port = *PortOfEndpoint(endpoint);
  Channel& channel = channels_.at((endpoint & 0x0F) / 2);
  const size_t room = MaxPacket(endpoint) - kStatusSize;
  const bool timer_has_run =
      now - channel.last_packet >= absl::Milliseconds(port.state().latency_ms);
  channel.asked = port.Waiting(now) < room && !timer_has_run;
  if (channel.asked) return std::nullopt;
  channel.last_packet = now;
  Bytes packet = Status(now, port);
  const Bytes bytes = port.ToHost(now, room);
  packet.insert(packet.end(), bytes.begin(), bytes.end());
  return packet;
}

std::optional<absl::Duration> FtdiModel::NextEvent() const {
  std::optional<absl::Duration> next = UsbDeviceModel::NextEvent();
  for (size_t i = 0; i < channels_.size(); ++i) {
    const SerialPort& port = serial_port(i);
    if (!channels_[i].asked || !port.listening()) continue;
    const absl::Duration due =
        channels_[i].last_packet + absl::Milliseconds(port.state().latency_ms);
    next = std::min(next.value_or(due), due);
  }
  return next;
}

void FtdiModel::ForgetSettings(absl::Duration now) {
  for (size_t i = 0; i < channels_.size(); ++i) {
    channels_[i] = {.last_packet = now};
    serial_port(i).SetLatency(kDefaultLatency);
  }
}

std::optional<size_t> FtdiModel::PortOfIndex(uint16_t index) const {
  // Chips with one port take 0 and 1 for it; others count from 1.
  const size_t number = index & 0xFF;
  if (!high_speed_) return number <= 1 ? std::make_optional<size_t>(0) : std::nullopt;
  return number >= 1 && number <= channels_.size() ? std::make_optional(number - 1) : std::nullopt;
}

std::optional<UsbDeviceModel::Bytes> FtdiModel::Answer(absl::Duration now, const UsbSetup& setup,
                                                       absl::Span<const uint8_t> data) {
  if (setup.type == kFromDevice && setup.request == kReadEeprom) return Bytes{0xFF, 0xFF};  // blank
  if ((setup.type != kToDevice && setup.type != kFromDevice) || !data.empty()) return std::nullopt;
  // The FT232R's index is the top of the divisor, not a port.
  const std::optional<size_t> number =
      !high_speed_ && setup.request == kSetBaudRate ? 0 : PortOfIndex(setup.index);
  if (!number.has_value()) return std::nullopt;
  SerialPort& port = serial_port(*number);
  if (setup.to_host()) {
    if (setup.request == kGetModemStatus) return Status(now, port);
    if (setup.request == kGetLatency) return Bytes{port.state().latency_ms};
    if (setup.request == kReadPins) return Bytes{0};
    return std::nullopt;
  }
  switch (setup.request) {
    case kReset:
      Reset(now, port, setup.value);
      return Bytes();
    case kSetModemLines: {
      std::optional<bool> dtr;
      std::optional<bool> rts;
      if ((setup.value & kDtrMask) != 0) dtr = (setup.value & kDtr) != 0;
      if ((setup.value & kRtsMask) != 0) rts = (setup.value & kRts) != 0;
      port.SetLines(now, dtr, rts);
      return Bytes();
    }
    case kSetBaudRate:
      port.SetBaudRate(DecodeRate(setup));
      return Bytes();
    case kSetData:
      return SetData(port, setup.value) ? std::make_optional(Bytes()) : std::nullopt;
    case kSetLatency:
      if (setup.value < 1 || setup.value > 255) return std::nullopt;
      port.SetLatency(static_cast<uint8_t>(setup.value));
      return Bytes();
    case kSetBitMode:
      // Only back to the UART: other modes are not modelled.
      return setup.value >> 8 == 0 ? std::make_optional(Bytes()) : std::nullopt;
    case kSetFlow:
    case kSetEventCharacter:
    case kSetErrorCharacter:
      return Bytes();
    default:
      return std::nullopt;
  }
}

void FtdiModel::Reset(absl::Duration now, SerialPort& port, uint16_t what) {
  port.NotePurge();
  if (what == kResetAll || what == kPurgeReceive) port.PurgeInput(now);
}

uint32_t FtdiModel::DecodeRate(const UsbSetup& setup) const {
  // The divisor's bits from 16 on travel in the index: of the FT2232H above the port's number.
  const uint32_t top = high_speed_ ? setup.index >> 8 : setup.index;
  const uint32_t code = setup.value >> 14 | (top & 1) << 2;
  const uint32_t eighths = (setup.value & 0x3FFFu) * 8 + kEighthsOfCode[code];
  const bool high_clock = high_speed_ && (top & 2) != 0;
  const uint32_t clock = high_clock ? kHighClockTimesEight : kClockTimesEight;
  // Two codes stand for the divisors 1 and 1 1/2; nothing else is between 0 and 2.
  if (eighths == 0) return clock / 8;
  if (eighths == 8) return clock / 12;
  if (eighths < 16) return 0;
  return (clock + eighths / 2) / eighths;
}

bool FtdiModel::SetData(SerialPort& port, uint16_t value) {
  static constexpr char kParity[] = {'N', 'O', 'E', 'M', 'S'};
  const uint8_t data_bits = value & 0xFF;
  const uint8_t parity = (value >> 8) & 7;
  const uint8_t stop = (value >> 11) & 7;
  if (data_bits < 7 || data_bits > 8 || parity >= std::size(kParity) || stop > 2) return false;
  port.SetFrame(data_bits, kParity[parity], static_cast<uint8_t>(2 + stop));
  return true;
}

UsbDeviceModel::Bytes FtdiModel::Status(absl::Duration now, const SerialPort& port) {
  return {kModemStatus, port.SendIdle(now) ? kTransmitEmpty : uint8_t{0}};
}

}  // namespace kiln::simulator
