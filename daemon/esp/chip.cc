#include "daemon/esp/chip.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::esp {
namespace {

// image_chip_id: ESP-IDF, components/bootloader_support/include/esp_app_format.h, esp_chip_id_t.
// bootloader_offset: ESP-IDF, CONFIG_BOOTLOADER_OFFSET_IN_FLASH of each target.
constexpr ChipTraits kTraits[] = {
    {Chip::kEsp32, "ESP32", "esp32", 0, 0x1000},
    {Chip::kEsp32S2, "ESP32-S2", "esp32s2", 2, 0x1000},
    {Chip::kEsp32S3, "ESP32-S3", "esp32s3", 9, 0x0},
    {Chip::kEsp32C2, "ESP32-C2", "esp32c2", 12, 0x0},
    {Chip::kEsp32C3, "ESP32-C3", "esp32c3", 5, 0x0},
    {Chip::kEsp32C5, "ESP32-C5", "esp32c5", 23, 0x2000},
    {Chip::kEsp32C6, "ESP32-C6", "esp32c6", 13, 0x0},
    {Chip::kEsp32C61, "ESP32-C61", "esp32c61", 20, 0x0},
    {Chip::kEsp32H2, "ESP32-H2", "esp32h2", 16, 0x0},
    {Chip::kEsp32P4, "ESP32-P4", "esp32p4", 18, 0x2000},
};

std::string Simplified(absl::string_view name) {
  std::string result;
  for (const char c : name) {
    if (absl::ascii_isalnum(c)) result += absl::ascii_tolower(c);
  }
  return result;
}

}  // namespace

const ChipTraits& TraitsOf(Chip chip) { return kTraits[static_cast<size_t>(chip)]; }

absl::Span<const Chip> AllChips() {
  static const std::vector<Chip>* const chips = [] {
    auto* all = new std::vector<Chip>;
    for (const ChipTraits& traits : kTraits) all->push_back(traits.chip);
    return all;
  }();
  return *chips;
}

std::optional<Chip> ParseChip(absl::string_view name) {
  const std::string wanted = Simplified(name);
  for (const ChipTraits& traits : kTraits) {
    if (Simplified(traits.name) == wanted) return traits.chip;
  }
  return std::nullopt;
}

std::optional<Chip> ChipOfImageId(uint16_t image_chip_id) {
  for (const ChipTraits& traits : kTraits) {
    if (traits.image_chip_id == image_chip_id) return traits.chip;
  }
  return std::nullopt;
}

std::string FormatMac(const MacAddress& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                         mac[5]);
}

std::optional<MacAddress> ParseMac(absl::string_view text) {
  const std::vector<absl::string_view> octets = absl::StrSplit(text, ':');
  MacAddress mac;
  if (octets.size() != mac.size()) return std::nullopt;
  for (size_t i = 0; i < mac.size(); ++i) {
    if (octets[i].size() != 2) return std::nullopt;
    int value = 0;
    for (const char c : octets[i]) {
      if (!absl::ascii_isxdigit(c)) return std::nullopt;
      const char lower = absl::ascii_tolower(c);
      value = value * 16 + (absl::ascii_isdigit(c) ? c - '0' : lower - 'a' + 10);
    }
    mac[i] = static_cast<uint8_t>(value);
  }
  return mac;
}

}  // namespace kiln::esp
