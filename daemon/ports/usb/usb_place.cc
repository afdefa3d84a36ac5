#include "daemon/ports/usb/usb_place.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_serial.h"

namespace kiln::ports {
namespace {

namespace fs = std::filesystem;

// A configuration is at most 64 KiB long, and serial adapters have one of some 100 bytes.
constexpr size_t kMaxDescriptors = size_t{64} * 1024;
constexpr size_t kMaxNumber = 8;
constexpr uint32_t kMaxDeviceNumber = 127;

std::vector<uint8_t> ReadAtMost(const fs::path& path, size_t limit) {
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes(limit);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(limit));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

std::string ReadWord(const fs::path& path) {
  const std::vector<uint8_t> bytes = ReadAtMost(path, kMaxNumber);
  const std::string text(bytes.begin(), bytes.end());
  return text.substr(0, text.find('\n'));
}

fs::path DeviceFolder(const UsbPlace& place, const std::string& sysfs_root) {
  return fs::path(sysfs_root) / "bus/usb/devices" / UsbPlaceName(place);
}

bool HasId(const fs::path& path, uint16_t id) {
  uint32_t found = 0;
  return absl::SimpleHexAtoi(ReadWord(path), &found) && found == id;
}

void AddTerminals(const fs::path& folder, std::vector<std::string>& terminals) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::StartsWith(name, "ttyUSB") || absl::StartsWith(name, "ttyACM")) {
      terminals.push_back(absl::StrCat("/dev/", name));
    }
  }
}

}  // namespace

std::string UsbPlaceName(const UsbPlace& place) {
  return absl::StrCat(place.bus, "-", absl::StrJoin(place.hub_ports, "."));
}

std::optional<uint8_t> UsbDeviceNumberAt(const UsbPlace& place, const std::string& sysfs_root) {
  const fs::path folder = DeviceFolder(place, sysfs_root);
  uint32_t number = 0;
  if (!HasId(folder / "idVendor", place.vendor) || !HasId(folder / "idProduct", place.product) ||
      !absl::SimpleAtoi(ReadWord(folder / "devnum"), &number) || number == 0 ||
      number > kMaxDeviceNumber) {
    return std::nullopt;
  }
  return static_cast<uint8_t>(number);
}

absl::StatusOr<PluggedUsbDevice> ReadUsbDevice(const UsbPlace& place,
                                               const std::string& sysfs_root) {
  const fs::path folder = DeviceFolder(place, sysfs_root);
  ASSIGN_OR_RETURN(const UsbDescriptors descriptors,
                   ParseUsbDescriptors(ReadAtMost(folder / "descriptors", kMaxDescriptors)));
  uint32_t value = 0;
  if (!absl::SimpleAtoi(ReadWord(folder / "bConfigurationValue"), &value)) {
    return absl::NotFoundError("the device is not configured yet");
  }
  const UsbConfiguration* active = descriptors.Active(static_cast<uint8_t>(value));
  if (active == nullptr) return absl::NotFoundError("the device has no configuration");
  return PluggedUsbDevice{.release = descriptors.release, .configuration = *active};
}

std::vector<std::string> UsbTerminalsOf(const UsbPlace& place, uint8_t configuration,
                                        uint8_t interface, const std::string& sysfs_root) {
  const fs::path folder = fs::path(sysfs_root) / "bus/usb/devices" /
                          absl::StrCat(UsbPlaceName(place), ":", configuration, ".", interface);
  std::vector<std::string> terminals;
  AddTerminals(folder, terminals);          // usb-serial's
  AddTerminals(folder / "tty", terminals);  // cdc-acm's
  return terminals;
}

}  // namespace kiln::ports
