#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "daemon/boards/usb_attributes.h"
#include "daemon/boards/usb_bus.h"
#include "daemon/ports/usb/adapters.h"

namespace kiln::boards {
namespace {

// The first byte chooses where the text of each attribute ends; a device's name comes first.
std::vector<std::string> Split(absl::string_view text, char separator) {
  std::vector<std::string> parts;
  while (parts.size() < 16) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == absl::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  parts.resize(16);
  return parts;
}

void Check(bool holds) {
  if (!holds) __builtin_trap();
}

void FuzzOne(absl::string_view input) {
  if (input.empty()) return;
  const std::vector<std::string> parts = Split(input.substr(1), input[0]);
  const std::map<std::string, std::string> attributes = {
      {"idVendor", parts[1]},        {"idProduct", parts[2]},
      {"devnum", parts[3]},          {"speed", parts[4]},
      {"descriptors", parts[5]},     {"bInterfaceNumber", parts[6]},
      {"bInterfaceClass", parts[7]}, {"bInterfaceSubClass", parts[8]}};
  const auto read = [&attributes](absl::string_view name) {
    const auto it = attributes.find(std::string(name));
    return it == attributes.end() ? std::string() : it->second;
  };

  const std::optional<UsbAttributes> device = ParseUsbDevice(parts[0], read);
  if (device.has_value()) {
    // A place has one name, which is safe to become part of a path.
    Check(device->topology.name() == parts[0]);
    Check(!device->topology.hub_ports.empty() && device->topology.hub_ports.size() <= 6);
    Check(device->device_number >= 1 && device->device_number <= 127);
    Check(device->max_power_ma >= 0 && device->max_power_ma <= 255 * 8);
    Check(device->topology.hub().find('/') == std::string::npos);
  }
  std::vector<UsbInterface> interfaces;
  if (std::optional<UsbInterface> interface = ParseUsbInterface(read)) {
    interface->driver = SafeDriverName(parts[9]);
    if (IsUsbTtyName(parts[10])) interface->tty = parts[10];
    Check(interface->tty.find('/') == std::string::npos);
    interfaces.assign(parts[11].size() % 40, *interface);
  }
  for (const ports::UsbAdapter& adapter : ports::AllUsbAdapters()) {
    const std::vector<UsbSerialPort> ports = SerialPortsOf(adapter, interfaces);
    Check(!ports.empty() && ports.size() <= 4);
    for (size_t i = 0; i < ports.size(); ++i) Check(ports[i].index == i);
  }
}

}  // namespace
}  // namespace kiln::boards

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kiln::boards::FuzzOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
