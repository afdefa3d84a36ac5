#include "simulator/usb/cp210x_model.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "simulator/usb/descriptors.h"

namespace kiln::simulator {
namespace {

constexpr uint8_t kIn = 0x81;
constexpr uint8_t kOut = 0x01;
constexpr uint16_t kMaxPacket = 64;
constexpr size_t kReceiveBuffer = 576;  // CP2102's data sheet; the CP2102N has 512

// bmRequestType: AN571 knows requests to the interface and, for the part itself, to the device.
constexpr uint8_t kToInterface = 0x41;
constexpr uint8_t kFromInterface = 0xC1;
constexpr uint8_t kFromDevice = 0xC0;

// AN571, table 3.
enum Request : uint8_t {
  kEnable = 0x00,
  kSetLineControl = 0x03,
  kGetLineControl = 0x04,
  kSetBreak = 0x05,
  kSendImmediately = 0x06,
  kSetModemLines = 0x07,
  kGetModemStatus = 0x08,
  kSetXon = 0x09,
  kSetXoff = 0x0A,
  kSetEventMask = 0x0B,
  kSetCharacter = 0x0D,
  kGetCharacters = 0x0E,
  kGetCommStatus = 0x10,
  kReset = 0x11,
  kPurge = 0x12,
  kSetFlow = 0x13,
  kGetFlow = 0x14,
  kEmbedEvents = 0x15,
  kSetCharacters = 0x19,
  kGetBaudRate = 0x1D,
  kSetBaudRate = 0x1E,
  kPartRequest = 0xFF,
};

// Values of kPartRequest that Linux asks for.
constexpr uint16_t kFirmwareVersion = 0x0010;
constexpr uint16_t kConfigurationBlock = 0x000E;
constexpr uint16_t kPartNumber = 0x370B;
constexpr size_t kConfigurationBlockSize = 0x2A6;
constexpr uint8_t kPartCp2102 = 0x02;
constexpr uint8_t kPartCp2102NQfn28 = 0x20;

// kSetModemLines: a line is touched only when its mask bit is set.
constexpr uint16_t kDtr = 0x0001;
constexpr uint16_t kRts = 0x0002;
constexpr uint16_t kDtrMask = 0x0100;
constexpr uint16_t kRtsMask = 0x0200;

// kSetFlow, AN571, 5.26: what is sent waits for CTS, DSR or DCD. No board has them connected, and
// the chip pulls them up to where they say no.
constexpr uint8_t kAnyHandshake = 0x38;
constexpr uint8_t kHoldForCts = 0x01;  // of kGetCommStatus

constexpr uint16_t kPurgeTransmit = 0x0005;
constexpr uint16_t kPurgeReceive = 0x000A;
constexpr uint32_t kDefaultBaudRate = 115200;

// AN205, table 1: the rates a CP2101 to CP2103 makes, each with the largest request it is used for.
struct RateRange {
  uint32_t rate;
  uint32_t up_to;
};
constexpr RateRange kRates[] = {
    {300, 300},       {600, 600},       {1200, 1200},     {1800, 1800},        {2400, 2400},
    {4000, 4000},     {4800, 4803},     {7200, 7207},     {9600, 9612},        {14400, 14428},
    {16000, 16062},   {19200, 19250},   {28800, 28912},   {38400, 38601},      {51200, 51558},
    {56000, 56280},   {57600, 58053},   {64000, 64111},   {76800, 77608},      {115200, 117028},
    {128000, 129347}, {153600, 156868}, {230400, 237832}, {250000, 254234},    {256000, 273066},
    {460800, 491520}, {500000, 567138}, {576000, 670254}, {921600, UINT32_MAX}};

// The CP2102N divides 24 MHz (its data sheet: up to 3 Mbaud).
constexpr uint32_t kClock = 24'000'000;
constexpr uint32_t kFastestCp2102N = 3'000'000;
constexpr uint32_t kPrescaledUpTo = 365;

}  // namespace

Cp210xModel::Cp210xModel(Part part, std::unique_ptr<SerialPeer> peer)
    : UsbDeviceModel(UsbSpeed::kFull),
      part_(part),
      port_(AddPort(std::make_unique<SerialPort>(std::move(peer), kReceiveBuffer))) {
  SetDescriptors(
      DeviceDescriptor(0x10C4, 0xEA60, 0x0100),
      ConfigurationDescriptor(1, {InterfaceDescriptor(0, 2, kVendorClass),
                                  BulkEndpoint(kIn, kMaxPacket), BulkEndpoint(kOut, kMaxPacket)}));
  SetString(1, "Silicon Labs");
  SetString(2, part == Part::kCp2102N ? "CP2102N USB to UART Bridge Controller"
                                      : "CP2102 USB to UART Bridge Controller");
  SetString(3, "0001");
}

bool Cp210xModel::TakePacket(absl::Duration now, uint8_t, absl::Span<const uint8_t> packet) {
  if (!port_.CanTake(now)) return false;
  port_.FromHost(now, packet);
  return true;
}

std::optional<UsbDeviceModel::Bytes> Cp210xModel::GivePacket(absl::Duration now, uint8_t) {
  return port_.NextPacket(now, kMaxPacket);
}

SerialPort* Cp210xModel::PortOfEndpoint(uint8_t endpoint) {
  return endpoint == kIn ? &port_ : nullptr;
}

void Cp210xModel::ForgetSettings(absl::Duration) {
  port_.SetEnabled(false);
  SetLineControl(0x0800);  // 8N1
  flow_ = {};
  characters_ = {};
}

std::optional<UsbDeviceModel::Bytes> Cp210xModel::Answer(absl::Duration now, const UsbSetup& setup,
                                                         absl::Span<const uint8_t> data) {
  if (setup.type == kFromDevice && setup.request == kPartRequest) return AnswerPartRequest(setup);
  if ((setup.type != kToInterface && setup.type != kFromInterface) || setup.index != 0) {
    return std::nullopt;
  }
  const bool reads = setup.to_host();
  switch (setup.request) {
    case kEnable:
      port_.SetEnabled((setup.value & 1) != 0);
      return Bytes();
    case kSetLineControl:
      return SetLineControl(setup.value) ? std::make_optional(Bytes()) : std::nullopt;
    case kGetLineControl:
      return Bytes{static_cast<uint8_t>(line_control_ & 0xFF),
                   static_cast<uint8_t>(line_control_ >> 8)};
    case kSetModemLines: {
      std::optional<bool> dtr;
      std::optional<bool> rts;
      if ((setup.value & kDtrMask) != 0) dtr = (setup.value & kDtr) != 0;
      if ((setup.value & kRtsMask) != 0) rts = (setup.value & kRts) != 0;
      port_.SetLines(now, dtr, rts);
      return Bytes();
    }
    case kGetModemStatus:
      return Bytes{
          static_cast<uint8_t>((port_.state().dtr ? kDtr : 0) | (port_.state().rts ? kRts : 0))};
    case kGetCommStatus:
      return CommStatus(now);
    case kPurge:
      port_.NotePurge();
      if ((setup.value & kPurgeTransmit) != 0) port_.PurgeOutput();
      if ((setup.value & kPurgeReceive) != 0) port_.PurgeInput(now);
      return Bytes();
    case kSetFlow:
      if (reads || data.size() != flow_.size()) return std::nullopt;
      SetFlow(now, data);
      return Bytes();
    case kGetFlow:
      return Bytes(flow_.begin(), flow_.end());
    case kEmbedEvents:
      // Escaped events among the data are not modelled; turning them off is.
      return setup.value == 0 ? std::make_optional(Bytes()) : std::nullopt;
    case kSetCharacters:
      if (reads || data.size() != characters_.size()) return std::nullopt;
      std::copy(data.begin(), data.end(), characters_.begin());
      return Bytes();
    case kGetCharacters:
      return Bytes(characters_.begin(), characters_.end());
    case kSetBaudRate:
      if (reads || data.size() != 4) return std::nullopt;
      port_.SetBaudRate(Quantize(base::LoadLe32(data.data())));
      return Bytes();
    case kGetBaudRate: {
      const uint32_t baud = port_.state().baud_rate;
      Bytes answer;
      base::AppendLe<uint32_t>(answer, baud != 0 ? baud : kDefaultBaudRate);
      return answer;
    }
    case kSetBreak:
    case kSendImmediately:
    case kSetXon:
    case kSetXoff:
    case kSetEventMask:
    case kSetCharacter:
    case kReset:
      return Bytes();
    default:
      return std::nullopt;
  }
}

std::optional<UsbDeviceModel::Bytes> Cp210xModel::AnswerPartRequest(const UsbSetup& setup) const {
  const bool cp2102n = part_ == Part::kCp2102N;
  switch (setup.value) {
    case kPartNumber:
      return Bytes{cp2102n ? kPartCp2102NQfn28 : kPartCp2102};
    case kFirmwareVersion:
      return cp2102n ? std::make_optional(Bytes{1, 0, 8}) : std::nullopt;
    case kConfigurationBlock: {
      if (!cp2102n) return std::nullopt;
      Bytes block(kConfigurationBlockSize);
      block[0] = kConfigurationBlockSize >> 8;
      block[1] = kConfigurationBlockSize & 0xFF;
      block[2] = 1;  // version of the block
      return block;
    }
    default:
      return std::nullopt;
  }
}

bool Cp210xModel::SetLineControl(uint16_t value) {
  static constexpr char kParity[] = {'N', 'O', 'E', 'M', 'S'};
  const uint8_t data_bits = static_cast<uint8_t>(value >> 8);
  const uint8_t parity = (value >> 4) & 0xF;
  const uint8_t stop = value & 0xF;
  if (data_bits < 5 || data_bits > 8 || parity >= std::size(kParity) || stop > 2) return false;
  line_control_ = value;
  port_.SetFrame(data_bits, kParity[parity], static_cast<uint8_t>(2 + stop));
  return true;
}

void Cp210xModel::SetFlow(absl::Duration now, absl::Span<const uint8_t> data) {
  std::copy(data.begin(), data.end(), flow_.begin());
  // AN571, 5.26: two bits each say that a line is held inactive, held active, or left to flow
  // control.
  const uint8_t dtr_mode = flow_[0] & 3;
  const uint8_t rts_mode = flow_[4] >> 6;
  std::optional<bool> dtr;
  std::optional<bool> rts;
  if (dtr_mode < 2) dtr = dtr_mode == 1;
  if (rts_mode < 2) rts = rts_mode == 1;
  if (dtr.value_or(port_.state().dtr) != port_.state().dtr ||
      rts.value_or(port_.state().rts) != port_.state().rts) {
    port_.SetLines(now, dtr, rts);
  }
  port_.SetHeldBack(now, (flow_[0] & kAnyHandshake) != 0);
}

UsbDeviceModel::Bytes Cp210xModel::CommStatus(absl::Duration now) {
  // AN571, 5.27: errors, hold reasons, what waits to be read and to be sent, three flags.
  Bytes status(8);
  if ((flow_[0] & kAnyHandshake) != 0) status[4] = kHoldForCts;
  base::AppendLe<uint32_t>(status, static_cast<uint32_t>(port_.Waiting(now)));
  base::AppendLe<uint32_t>(status, port_.SendIdle(now) ? 0 : 1);
  status.resize(19);
  return status;
}

uint32_t Cp210xModel::Quantize(uint32_t baud) const {
  if (part_ == Part::kCp2102) {
    return std::find_if(std::begin(kRates), std::end(kRates),
                        [baud](const RateRange& range) { return baud <= range.up_to; })
        ->rate;
  }
  const uint32_t wanted = std::clamp<uint32_t>(baud, 300, kFastestCp2102N);
  const uint32_t clock = wanted <= kPrescaledUpTo ? kClock / 4 : kClock;
  const uint32_t divisor = (clock + wanted / 2) / wanted;
  return (clock + divisor / 2) / divisor;
}

}  // namespace kiln::simulator
