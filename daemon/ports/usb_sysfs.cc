#include "daemon/ports/usb_sysfs.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace kiln::ports {
namespace {

namespace fs = std::filesystem;

// A USB string descriptor holds at most 126 characters (USB 2.0, 9.6.7).
constexpr size_t kMaxAttribute = 126;

std::string ReadAttribute(const fs::path& path) {
  std::ifstream file(path);
  std::string line(kMaxAttribute, '\0');
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<size_t>(file.gcount()));
  line = line.substr(0, line.find('\n'));
  // A device chooses these words itself.
  std::replace_if(line.begin(), line.end(), [](char c) { return !absl::ascii_isprint(c); }, '?');
  absl::StripAsciiWhitespace(&line);
  return line;
}

std::optional<uint16_t> ReadId(const fs::path& path) {
  const std::string text = ReadAttribute(path);
  uint32_t id = 0;
  if (text.size() != 4 || !absl::SimpleHexAtoi(text, &id)) return std::nullopt;
  return static_cast<uint16_t>(id);
}

// 0 when it is no number of a byte.
uint8_t ReadNumber(const fs::path& path) {
  uint32_t number = 0;
  return absl::SimpleAtoi(ReadAttribute(path), &number) && number <= UINT8_MAX
             ? static_cast<uint8_t>(number)
             : uint8_t{0};
}

}  // namespace

std::optional<UsbDevice> UsbDeviceOfTty(const std::string& tty_name,
                                        const std::string& sysfs_root) {
  std::error_code error;
  fs::path place = fs::canonical(fs::path(sysfs_root) / "class/tty" / tty_name / "device", error);
  if (error) return std::nullopt;
  UsbDevice device;
  // A ttyACM's device is the USB interface, a ttyUSB's a port below it; the USB
  // device is the interface's parent.
  for (int level = 0; level < 3; ++level) {
    if (fs::exists(place / "bInterfaceNumber", error)) {
      uint32_t number = 0;
      if (absl::SimpleHexAtoi(ReadAttribute(place / "bInterfaceNumber"), &number) &&
          number <= UINT8_MAX) {
        device.interface_number = static_cast<uint8_t>(number);
      }
    }
    const auto vendor = ReadId(place / "idVendor");
    const auto product = ReadId(place / "idProduct");
    if (vendor.has_value() && product.has_value()) {
      device.vendor = *vendor;
      device.product = *product;
      device.topology = place.filename().string();
      device.bus = ReadNumber(place / "busnum");
      device.device_number = ReadNumber(place / "devnum");
      device.manufacturer = ReadAttribute(place / "manufacturer");
      device.description = ReadAttribute(place / "product");
      return device;
    }
    place = place.parent_path();
  }
  return std::nullopt;
}

}  // namespace kiln::ports
