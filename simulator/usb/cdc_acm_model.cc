#include "simulator/usb/cdc_acm_model.h"

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
#include "base/little_endian.h"
#include "simulator/usb/descriptors.h"

namespace kiln::simulator {
namespace {

constexpr uint16_t kMaxPacket = 64;
constexpr size_t kReceiveBuffer = 512;

constexpr uint8_t kToInterface = 0x21;
constexpr uint8_t kFromInterface = 0xA1;

// PSTN 1.2, table 13.
enum Request : uint8_t {
  kSetLineCoding = 0x20,
  kGetLineCoding = 0x21,
  kSetControlLineState = 0x22,
  kSendBreak = 0x23,
};
constexpr uint16_t kDtr = 0x01;
constexpr uint16_t kRts = 0x02;

constexpr UsbClass kCommunications = {0x02, 0x02, 0x00};  // abstract control model
constexpr UsbClass kData = {0x0A, 0x00, 0x00};
constexpr UsbClass kComposite = {0xEF, 0x02, 0x01};  // with an interface association

// Of the communications interface (CDC 1.1, 5.2.3): header, call management (none), what the model
// can (line coding, line state, break), and which interfaces belong together. An association
// (USB ECN "Interface Association Descriptor") says the same to everybody.
std::vector<uint8_t> Association() { return {8, 0x0B, 0, 2, 0x02, 0x02, 0x00, 0}; }
std::vector<uint8_t> FunctionalDescriptors() {
  return {5, 0x24, 0x00, 0x10, 0x01,  // CDC 1.10
          5, 0x24, 0x01, 0x00, 0x01,  //
          4, 0x24, 0x02, 0x06,        //
          5, 0x24, 0x06, 0x00, 0x01};
}

// Nobody listens there in a simulation.
std::vector<uint8_t> JtagInterface() {
  std::vector<uint8_t> all = InterfaceDescriptor(2, 2, {0xFF, 0xFF, 0x01});
  for (const std::vector<uint8_t>& endpoint :
       {BulkEndpoint(0x02, kMaxPacket), BulkEndpoint(0x83, kMaxPacket)}) {
    all.insert(all.end(), endpoint.begin(), endpoint.end());
  }
  return all;
}

}  // namespace

CdcAcmModel::CdcAcmModel(std::unique_ptr<SerialPeer> peer)
    : CdcAcmModel({.vendor = 0x1A86,
                   .product = 0x55D4,
                   .release = 0x0443,
                   .manufacturer = "WCH.CN",
                   .name = "USB Single Serial",
                   .serial = "0001"},
                  {.in = 0x82, .out = 0x02, .interrupt = 0x83}, true, std::move(peer)) {}

CdcAcmModel::CdcAcmModel(const Identity& identity, const Endpoints& endpoints, bool has_uart,
                         std::unique_ptr<SerialPeer> peer)
    : UsbDeviceModel(UsbSpeed::kFull),
      endpoints_(endpoints),
      has_uart_(has_uart),
      port_(AddPort(std::make_unique<SerialPort>(std::move(peer), kReceiveBuffer))) {
  SetIdentity(identity);
}

void CdcAcmModel::SetIdentity(const Identity& identity) {
  SetDescriptors(
      DeviceDescriptor(identity.vendor, identity.product, identity.release, kComposite),
      ConfigurationDescriptor(
          identity.has_jtag ? 3 : 2,
          {Association(), InterfaceDescriptor(0, 1, kCommunications), FunctionalDescriptors(),
           InterruptEndpoint(endpoints_.interrupt, kMaxPacket, 1), InterfaceDescriptor(1, 2, kData),
           BulkEndpoint(endpoints_.in, kMaxPacket), BulkEndpoint(endpoints_.out, kMaxPacket),
           identity.has_jtag ? JtagInterface() : std::vector<uint8_t>()}));
  SetString(1, identity.manufacturer);
  SetString(2, identity.name);
  SetString(3, identity.serial);
}

bool CdcAcmModel::TakePacket(absl::Duration now, uint8_t endpoint,
                             absl::Span<const uint8_t> packet) {
  if (endpoint != endpoints_.out) return true;
  if (!port_.CanTake(now)) return false;
  port_.FromHost(now, packet);
  return true;
}

std::optional<UsbDeviceModel::Bytes> CdcAcmModel::GivePacket(absl::Duration now, uint8_t endpoint) {
  // The modem inputs never change, so that there is never a notification.
  if (endpoint != endpoints_.in) return std::nullopt;
  return port_.NextPacket(now, kMaxPacket);
}

SerialPort* CdcAcmModel::PortOfEndpoint(uint8_t endpoint) {
  return endpoint == endpoints_.in ? &port_ : nullptr;
}

void CdcAcmModel::ForgetSettings(absl::Duration) {
  line_coding_ = {0x80, 0x25, 0, 0, 0, 0, 8};  // 9600 8N1
  if (!has_uart_) port_.peer().SetHostBaudRate(0);
}

std::optional<UsbDeviceModel::Bytes> CdcAcmModel::Answer(absl::Duration now, const UsbSetup& setup,
                                                         absl::Span<const uint8_t> data) {
  if (setup.index != 0) return std::nullopt;  // the interface
  if (setup.type == kFromInterface && setup.request == kGetLineCoding) {
    return Bytes(line_coding_.begin(), line_coding_.end());
  }
  if (setup.type != kToInterface) return std::nullopt;
  switch (setup.request) {
    case kSetLineCoding:
      return SetLineCoding(data) ? std::make_optional(Bytes()) : std::nullopt;
    case kSetControlLineState:
      port_.SetLines(now, (setup.value & kDtr) != 0, (setup.value & kRts) != 0);
      return Bytes();
    case kSendBreak:
      return Bytes();
    default:
      return std::nullopt;
  }
}

bool CdcAcmModel::SetLineCoding(absl::Span<const uint8_t> data) {
  static constexpr char kParity[] = {'N', 'O', 'E', 'M', 'S'};
  if (data.size() != line_coding_.size()) return false;
  const uint8_t stop = data[4];
  const uint8_t parity = data[5];
  const uint8_t data_bits = data[6];
  if (stop > 2 || parity >= std::size(kParity) || data_bits < 5 || data_bits > 8) return false;
  std::copy(data.begin(), data.end(), line_coding_.begin());
  port_.SetBaudRate(base::LoadLe32(data.data()));
  if (!has_uart_) port_.peer().SetHostBaudRate(0);
  port_.SetFrame(data_bits, kParity[parity], static_cast<uint8_t>(2 + stop));
  return true;
}

}  // namespace kiln::simulator
