#include "simulator/usb/usb_device_model.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

// Standard requests (USB 2.0, table 9-4) and descriptor types (table 9-5).
enum StandardRequest : uint8_t {
  kGetStatus = 0,
  kClearFeature = 1,
  kSetFeature = 3,
  kSetAddress = 5,
  kGetDescriptor = 6,
  kGetConfiguration = 8,
  kSetConfiguration = 9,
  kGetInterface = 10,
  kSetInterface = 11,
};
enum DescriptorType : uint8_t { kDevice = 1, kConfiguration = 2, kString = 3, kEndpoint = 5 };

constexpr uint8_t kTypeMask = 0x60;     // of bmRequestType: standard, class or vendor
constexpr uint16_t kEnglish = 0x0409;   // the only language of the strings
constexpr size_t kEndpointAddress = 2;  // offsets in an endpoint descriptor
constexpr size_t kEndpointMaxPacket = 4;

uint16_t Word(const std::vector<uint8_t>& bytes, size_t at) {
  return static_cast<uint16_t>(bytes.at(at) | bytes.at(at + 1) << 8);
}

}  // namespace

uint16_t UsbDeviceModel::vendor() const { return Word(device_descriptor(), 8); }

uint16_t UsbDeviceModel::product() const { return Word(device_descriptor(), 10); }

std::string UsbDeviceModel::String(uint8_t index) const {
  const auto found = strings_.find(index);
  return found == strings_.end() ? "" : found->second;
}

uint16_t UsbDeviceModel::MaxPacket(uint8_t endpoint) const {
  const Bytes& all = configuration_descriptor_;
  for (size_t at = 0; at + 1 < all.size() && all[at] >= 2; at += all[at]) {
    if (all[at + 1] == kEndpoint && all[at + kEndpointAddress] == endpoint) {
      return Word(all, at + kEndpointMaxPacket);
    }
  }
  return 0;
}

void UsbDeviceModel::Plug(absl::Duration now) {
  plugged_ = true;
  configuration_ = 0;
  for (const auto& port : ports_) port->PowerOn(now);
  ForgetSettings(now);
}

void UsbDeviceModel::Unplug() {
  plugged_ = false;
  configuration_ = 0;
  for (const auto& port : ports_) port->PowerOff();
}

void UsbDeviceModel::ResetBus(absl::Duration now) {
  configuration_ = 0;
  for (const auto& port : ports_) port->ForgetSettings(now);
  ForgetSettings(now);
}

std::optional<UsbDeviceModel::Bytes> UsbDeviceModel::Control(absl::Duration now,
                                                             const UsbSetup& setup,
                                                             absl::Span<const uint8_t> data) {
  Advance(now);
  if (!setup.to_host() && data.size() != setup.length) return std::nullopt;
  std::optional<Bytes> answer;
  if ((setup.type & kTypeMask) != 0) {
    answer = Answer(now, setup, data);
  } else if (setup.request == kSetConfiguration) {
    const uint8_t wanted = setup.value & 0xFF;
    if (wanted > 1) return std::nullopt;  // there is one configuration, with the number 1
    configuration_ = wanted;
    answer = Bytes();
  } else {
    answer = AnswerStandard(setup);
  }
  if (!answer.has_value()) return std::nullopt;
  answer->resize(setup.to_host() ? std::min<size_t>(answer->size(), setup.length) : 0);
  return answer;
}

std::optional<UsbDeviceModel::Bytes> UsbDeviceModel::AnswerStandard(const UsbSetup& setup) const {
  switch (setup.request) {
    case kGetDescriptor:
      return Descriptor(static_cast<uint8_t>(setup.value >> 8), setup.value & 0xFF);
    case kGetConfiguration:
      return Bytes{configuration_};
    case kGetStatus:
      return Bytes{0, 0};  // powered by the bus, no remote wake-up; endpoint not halted
    case kGetInterface:
      return Bytes{0};  // the only setting
    case kClearFeature:
    case kSetFeature:
    case kSetAddress:
      return Bytes();
    case kSetInterface:
      return setup.value == 0 ? std::make_optional(Bytes()) : std::nullopt;
    default:
      return std::nullopt;
  }
}

std::optional<UsbDeviceModel::Bytes> UsbDeviceModel::Descriptor(uint8_t type, uint8_t index) const {
  switch (type) {
    case kDevice:
      return device_descriptor();
    case kConfiguration:
      return index == 0 ? std::make_optional(configuration_descriptor_) : std::nullopt;
    case kString: {
      if (index == 0) return Bytes{4, kString, kEnglish & 0xFF, kEnglish >> 8};
      const std::string text = String(index);
      if (text.empty()) return std::nullopt;
      Bytes descriptor = {static_cast<uint8_t>(2 + 2 * text.size()), kString};
      for (char c : text) {
        descriptor.push_back(static_cast<uint8_t>(c));
        descriptor.push_back(0);  // UTF-16
      }
      return descriptor;
    }
    default:
      return std::nullopt;
  }
}

void UsbDeviceModel::SetListening(absl::Duration now, uint8_t endpoint, bool listening) {
  if (SerialPort* port = PortOfEndpoint(endpoint); port != nullptr) {
    port->SetListening(now, listening);
  }
}

void UsbDeviceModel::Advance(absl::Duration now) {
  for (const auto& port : ports_) port->Advance(now);
}

std::optional<absl::Duration> UsbDeviceModel::NextEvent() const {
  std::optional<absl::Duration> next;
  for (const auto& port : ports_) {
    const std::optional<absl::Duration> due = port->NextEvent();
    if (due.has_value()) next = std::min(next.value_or(*due), *due);
  }
  return next;
}

bool UsbDeviceModel::TakeUnplugRequest() {
  bool requested = false;
  for (const auto& port : ports_) requested |= port->peer().TakeUnplugRequest();
  return requested;
}

void UsbDeviceModel::SetDescriptors(Bytes device, Bytes configuration) {
  device_descriptor_ = std::move(device);
  configuration_descriptor_ = std::move(configuration);
}

void UsbDeviceModel::SetString(uint8_t index, absl::string_view text) {
  strings_[index] = std::string(text);
}

SerialPort& UsbDeviceModel::AddPort(std::unique_ptr<SerialPort> port) {
  ports_.push_back(std::move(port));
  return *ports_.back();
}

}  // namespace kiln::simulator
