#ifndef KILN_DAEMON_ESP_CHIP_H_
#define KILN_DAEMON_ESP_CHIP_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::esp {

// The supported chips, in the order of the table in chip.cc. The ESP8266 is not
// one of them.
enum class Chip {
  kEsp32,
  kEsp32S2,
  kEsp32S3,
  kEsp32C2,
  kEsp32C3,
  kEsp32C5,
  kEsp32C6,
  kEsp32C61,
  kEsp32H2,
  kEsp32P4,
};

// Facts of one chip. Sources are named per field in chip.cc.
struct ChipTraits {
  Chip chip;
  absl::string_view name;       // "ESP32-C3"
  absl::string_view stub_name;  // file name of its stub without ".json": "esp32c3"
  uint16_t image_chip_id;       // extended image header, bytes 12-13; also
                                // GET_SECURITY_INFO's id
  uint32_t bootloader_offset;   // where the ROM looks for the second-stage
                                // bootloader in flash
};

const ChipTraits& TraitsOf(Chip chip);
absl::Span<const Chip> AllChips();
// Accepts "ESP32-C3", "esp32c3", "ESP32C3"; case and hyphens do not matter.
std::optional<Chip> ParseChip(absl::string_view name);
std::optional<Chip> ChipOfImageId(uint16_t image_chip_id);

// A base MAC address, first octet first.
using MacAddress = std::array<uint8_t, 6>;
// "7c:df:a1:00:00:01"
std::string FormatMac(const MacAddress& mac);
std::optional<MacAddress> ParseMac(absl::string_view text);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_CHIP_H_
