#include "daemon/boards/usb_attributes.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::boards {
namespace {

// "1-2.3.4.5.6.7" of three digits each is shorter.
constexpr size_t kMaxTopology = 32;
constexpr size_t kMaxHubPorts = 6;
constexpr uint32_t kMaxDeviceNumber = 127;  // USB 2.0, 9.4.6
constexpr size_t kMaxDriverName = 32;

// What stands in one line, without its line feed.
std::string Line(absl::string_view text) {
  text = text.substr(0, text.find('\n'));
  return std::string(absl::StripAsciiWhitespace(text));
}

// Exactly `digits` hexadecimal digits, as the kernel prints ids and classes.
std::optional<uint32_t> ParseHex(absl::string_view raw, size_t digits) {
  const std::string text = Line(raw);
  uint32_t value = 0;
  if (text.size() != digits || !std::all_of(text.begin(), text.end(), absl::ascii_isxdigit) ||
      !absl::SimpleHexAtoi(text, &value)) {
    return std::nullopt;
  }
  return value;
}

// The speeds the kernel knows (speed_show, drivers/usb/core/sysfs.c); 0 for others.
double ParseSpeed(absl::string_view raw) {
  constexpr std::pair<absl::string_view, double> kSpeeds[] = {
      {"1.5", 1.5}, {"12", 12}, {"480", 480}, {"5000", 5000}, {"10000", 10000}, {"20000", 20000}};
  const std::string text = Line(raw);
  for (const auto& [name, speed] : kSpeeds) {
    if (text == name) return speed;
  }
  return 0;
}

std::string NameOf(uint8_t bus, absl::Span<const uint8_t> hub_ports) {
  return absl::StrCat(static_cast<int>(bus), "-",
                      absl::StrJoin(hub_ports, ".", [](std::string* out, uint8_t port) {
                        absl::StrAppend(out, static_cast<int>(port));
                      }));
}

}  // namespace

std::string UsbTopology::name() const { return NameOf(bus, hub_ports); }

std::string UsbTopology::hub() const {
  if (hub_ports.size() < 2) return absl::StrCat("usb", static_cast<int>(bus));
  return NameOf(bus, absl::MakeConstSpan(hub_ports).first(hub_ports.size() - 1));
}

std::optional<uint32_t> ParseDecimal(absl::string_view raw, uint32_t maximum) {
  const std::string text = Line(raw);
  uint32_t value = 0;
  if (text.empty() || text.size() > 10 ||
      !std::all_of(text.begin(), text.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(text, &value) || value > maximum) {
    return std::nullopt;
  }
  return value;
}

std::optional<UsbTopology> ParseTopology(absl::string_view name) {
  // Only the kernel's own spelling: a name is one place and a place has one name.
  if (name.empty() || name.size() > kMaxTopology) return std::nullopt;
  const auto number = [](absl::string_view text) -> std::optional<uint8_t> {
    if (text.empty() || text[0] == '0' ||
        !std::all_of(text.begin(), text.end(), absl::ascii_isdigit)) {
      return std::nullopt;
    }
    const std::optional<uint32_t> value = ParseDecimal(text, 255);
    if (!value.has_value()) return std::nullopt;
    return static_cast<uint8_t>(*value);
  };
  const size_t dash = name.find('-');
  if (dash == absl::string_view::npos) return std::nullopt;
  UsbTopology topology;
  const std::optional<uint8_t> bus = number(name.substr(0, dash));
  if (!bus.has_value()) return std::nullopt;
  topology.bus = *bus;
  for (const absl::string_view part : absl::StrSplit(name.substr(dash + 1), '.')) {
    const std::optional<uint8_t> port = number(part);
    if (!port.has_value() || topology.hub_ports.size() == kMaxHubPorts) return std::nullopt;
    topology.hub_ports.push_back(*port);
  }
  return topology;
}

std::optional<UsbAttributes> ParseUsbDevice(absl::string_view name, AttributeReader read) {
  std::optional<UsbTopology> topology = ParseTopology(name);
  if (!topology.has_value()) return std::nullopt;
  const std::optional<uint32_t> vendor = ParseHex(read("idVendor"), 4);
  const std::optional<uint32_t> product = ParseHex(read("idProduct"), 4);
  const std::optional<uint32_t> number = ParseDecimal(read("devnum"), kMaxDeviceNumber);
  if (!vendor.has_value() || !product.has_value() || number.value_or(0) == 0) return std::nullopt;
  UsbAttributes device;
  device.topology = *std::move(topology);
  device.device_number = static_cast<uint8_t>(*number);
  device.vendor = static_cast<uint16_t>(*vendor);
  device.product = static_cast<uint16_t>(*product);
  device.speed_mbit = ParseSpeed(read("speed"));
  device.max_power_ma = MaxPowerMilliamps(read("descriptors"), device.speed_mbit);
  return device;
}

std::optional<UsbInterface> ParseUsbInterface(AttributeReader read) {
  const std::optional<uint32_t> number = ParseHex(read("bInterfaceNumber"), 2);
  if (!number.has_value()) return std::nullopt;
  UsbInterface interface;
  interface.number = static_cast<uint8_t>(*number);
  interface.class_code = static_cast<uint8_t>(ParseHex(read("bInterfaceClass"), 2).value_or(0));
  interface.subclass = static_cast<uint8_t>(ParseHex(read("bInterfaceSubClass"), 2).value_or(0));
  return interface;
}

int MaxPowerMilliamps(absl::string_view descriptors, double speed_mbit) {
  // USB 2.0, tables 9-8 and 9-10: a device descriptor of 18 bytes, type 1, then the configuration
  // of 9 bytes, type 2, with bMaxPower as its byte 8.
  constexpr size_t kDevice = 18;
  constexpr size_t kConfiguration = 9;
  if (descriptors.size() < kDevice + kConfiguration) return 0;
  const auto byte = [descriptors](size_t at) { return static_cast<uint8_t>(descriptors[at]); };
  if (byte(0) != kDevice || byte(1) != 1 || byte(kDevice) != kConfiguration ||
      byte(kDevice + 1) != 2) {
    return 0;
  }
  return byte(kDevice + 8) * (speed_mbit >= 5000 ? 8 : 2);
}

bool IsUsbTtyName(absl::string_view name) {
  if (!absl::StartsWith(name, "ttyUSB") && !absl::StartsWith(name, "ttyACM")) return false;
  const absl::string_view digits = name.substr(6);
  return !digits.empty() && digits.size() <= 5 &&
         std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
}

std::string SafeDriverName(absl::string_view name) {
  const bool good = !name.empty() && name.size() <= kMaxDriverName &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return absl::ascii_isalnum(c) || c == '-' || c == '_';
                    });
  return good ? std::string(name) : "";
}

}  // namespace kiln::boards
