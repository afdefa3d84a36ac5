#include "daemon/boards/usb_bus.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "daemon/boards/usb_attributes.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb_sysfs.h"

namespace kiln::boards {
namespace {

// Enough for every attribute read here and for a device and its first configuration.
constexpr size_t kMaxAttribute = 256;
constexpr int kMaxInterfaces = 32;  // USB allows 256, serial adapters have at most eight

// Plain system calls, since this runs for every adapter once a second.
std::string ReadAttribute(const std::string& path) {
  // Not blocking: in place of a file of sysfs there might be anything.
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return "";
  std::array<char, kMaxAttribute> buffer;
  const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
  return size > 0 ? std::string(buffer.data(), static_cast<size_t>(size)) : "";
}

// Calls `visit` with the names in the folder until it answers false, or there are too many.
void ForEachName(const std::string& path, int limit,
                 absl::FunctionRef<bool(absl::string_view name)> visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
  if (folder == nullptr) return;
  for (int i = 0; i < limit; ++i) {
    const dirent* entry = ::readdir(folder.get());
    if (entry == nullptr || !visit(entry->d_name)) return;
  }
}

// The last part of where the link `path` leads; empty when it is none.
std::string LinkName(const std::string& path) {
  std::array<char, 512> target;
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size <= 0 || static_cast<size_t>(size) == target.size()) return "";
  const absl::string_view text(target.data(), static_cast<size_t>(size));
  return std::string(text.substr(text.rfind('/') + 1));  // npos + 1 is 0
}

// A ttyUSB is a folder of the interface itself (the driver's port device), a ttyACM one of its
// folder "tty".
std::string TtyOf(const std::string& interface) {
  std::string tty;
  const auto look = [&tty](absl::string_view name) {
    if (IsUsbTtyName(name)) tty = std::string(name);
    return tty.empty();
  };
  ForEachName(interface, UsbBus::kMaxEntries, look);
  if (tty.empty()) ForEachName(absl::StrCat(interface, "/tty"), kMaxInterfaces, look);
  return tty;
}

std::vector<UsbInterface> InterfacesOf(const std::string& device, absl::string_view name) {
  std::vector<std::string> names;
  const std::string prefix = absl::StrCat(name, ":");
  ForEachName(device, UsbBus::kMaxEntries, [&](absl::string_view entry) {
    if (absl::StartsWith(entry, prefix)) names.emplace_back(entry);
    return names.size() < kMaxInterfaces;
  });
  std::vector<UsbInterface> interfaces;
  for (const std::string& entry : names) {
    const std::string path = absl::StrCat(device, "/", entry);
    std::optional<UsbInterface> interface = ParseUsbInterface([&path](absl::string_view attribute) {
      return ReadAttribute(absl::StrCat(path, "/", attribute));
    });
    if (!interface.has_value()) continue;
    interface->driver = SafeDriverName(LinkName(absl::StrCat(path, "/driver")));
    interface->tty = TtyOf(path);
    interfaces.push_back(*std::move(interface));
  }
  return interfaces;
}

// Communications class, abstract control model (USB CDC 1.2, table 4): a modem's, so a serial
// port's. The class has other subclasses, for networks (ECM, NCM).
bool IsAcm(const UsbInterface& interface) {
  return interface.class_code == 0x02 && interface.subclass == 0x02;
}

}  // namespace

std::vector<UsbSerialPort> SerialPortsOf(const ports::UsbAdapter& adapter,
                                         std::vector<UsbInterface> interfaces) {
  std::sort(interfaces.begin(), interfaces.end(),
            [](const UsbInterface& a, const UsbInterface& b) { return a.number < b.number; });
  const bool acm = std::any_of(interfaces.begin(), interfaces.end(), IsAcm);
  std::vector<UsbSerialPort> serial;
  for (UsbInterface& interface : interfaces) {
    if (serial.size() == std::max<size_t>(adapter.serial_ports, 1)) break;
    // What has a terminal is serial, whatever its class says.
    const bool is_serial =
        !interface.tty.empty() || (acm ? IsAcm(interface) : interface.class_code == 0xff);
    if (!is_serial) continue;
    serial.push_back({.index = static_cast<uint8_t>(serial.size()),
                      .interface_number = interface.number,
                      .driver = std::move(interface.driver),
                      .tty = std::move(interface.tty)});
  }
  if (serial.empty()) serial.emplace_back();
  return serial;
}

std::string UsbBus::PathOf(absl::string_view name) const {
  return absl::StrCat(sysfs_root_, "/bus/usb/devices/", name);
}

bool UsbBus::exists() const {
  struct stat found = {};
  return ::stat(PathOf("").c_str(), &found) == 0;
}

std::vector<UsbBusDevice> UsbBus::Devices() const {
  std::vector<std::string> names;
  ForEachName(PathOf(""), kMaxEntries, [&names](absl::string_view name) {
    if (ParseTopology(name).has_value()) names.emplace_back(name);
    return true;
  });
  std::sort(names.begin(), names.end());
  std::vector<UsbBusDevice> devices;
  for (const std::string& name : names) {
    std::optional<UsbBusDevice> device = DeviceAt(name);
    if (device.has_value()) devices.push_back(*std::move(device));
  }
  return devices;
}

std::optional<UsbBusDevice> UsbBus::DeviceAt(absl::string_view topology) const {
  // Nothing else becomes part of a path.
  if (!ParseTopology(topology).has_value()) return std::nullopt;
  const std::string path = PathOf(topology);
  const auto read = [&path](absl::string_view attribute) {
    return ReadAttribute(absl::StrCat(path, "/", attribute));
  };
  std::optional<UsbAttributes> attributes = ParseUsbDevice(topology, read);
  if (!attributes.has_value()) return std::nullopt;
  // Most devices are foreign and cost no more than their ids.
  const bool maybe = attributes->vendor == ports::kEspressifVendor ||
                     ports::FindUsbAdapter(attributes->vendor, attributes->product) != nullptr;
  struct stat folder = {};
  if (!maybe || ::stat(path.c_str(), &folder) != 0) return std::nullopt;
  std::vector<UsbInterface> interfaces = InterfacesOf(path, topology);
  const bool has_acm = std::any_of(interfaces.begin(), interfaces.end(), IsAcm);
  const ports::UsbAdapter* adapter =
      ports::FindUsbAdapter(attributes->vendor, attributes->product, has_acm);
  if (adapter == nullptr) return std::nullopt;
  UsbBusDevice device;
  device.name = std::string(topology);
  device.attributes = *std::move(attributes);
  device.adapter = adapter;
  device.serial_ports = SerialPortsOf(*adapter, std::move(interfaces));
  device.instance =
      absl::StrCat(static_cast<int>(device.attributes.device_number), ":", folder.st_ino);
  return device;
}

int UsbBus::HubPorts(const std::string& hub) const {
  // maxchild is at most 255 by the hub descriptor's bNbrPorts (USB 2.0, 11.23.2.1).
  return static_cast<int>(
      ParseDecimal(ReadAttribute(absl::StrCat(PathOf(hub), "/maxchild")), 255).value_or(0));
}

}  // namespace kiln::boards
