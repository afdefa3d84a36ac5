#include "simulator/chip_model.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "daemon/esp/chip.h"

namespace kiln::simulator {
namespace {

using esp::Chip;

constexpr uint32_t kMhz = 1'000'000;

// In the order of esp::Chip.
constexpr ChipModel kModels[] = {
    {Chip::kEsp32, 0x00F01D83, 0x3FF42000, 0x3FF5A000, 0x04, 0x3FF40014, 40 * kMhz, false, false,
     false, 0x18, 1 << 4, 0x00, 20, ""},
    {Chip::kEsp32S2, 0x000007C6, 0x3F402000, 0x3F41A000, 0x44, 0x3F400014, 40 * kMhz, true, false,
     true, 0x38, 1 << 20, 0x34, 18, "ESP-ROM:esp32s2-rc4-20191025"},
    {Chip::kEsp32S3, 0x00000009, 0x60002000, 0x60007000, 0x44, 0x60000014, 40 * kMhz, true, true,
     true, 0x38, 1 << 20, 0x34, 18, "ESP-ROM:esp32s3-20210327"},
    {Chip::kEsp32C2, 0x7C41A06F, 0x60002000, 0x60008800, 0x40, 0x60000014, 40 * kMhz, true, true,
     true, 0x30, 1 << 21, 0x30, 7, "ESP-ROM:esp8684-api2-20220127"},
    {Chip::kEsp32C3, 0x1B31506F, 0x60002000, 0x60008800, 0x44, 0x60000014, 40 * kMhz, true, true,
     true, 0x38, 1 << 20, 0x34, 18, "ESP-ROM:esp32c3-api1-20210207"},
    {Chip::kEsp32C5, 0x5FD1406F, 0x60003000, 0x600B4800, 0x44, 0x60000014, 48 * kMhz, true, true,
     true, 0x38, 1 << 25, 0x34, 16, "ESP-ROM:esp32c5-eco2-20250121"},
    {Chip::kEsp32C6, 0x2CE0806F, 0x60003000, 0x600B0800, 0x44, 0x60000014, 40 * kMhz, true, true,
     true, 0x38, 1 << 20, 0x34, 18, "ESP-ROM:esp32c6-20220919"},
    {Chip::kEsp32C61, 0x7211606F, 0x60003000, 0x600B4800, 0x44, 0x60000014, 40 * kMhz, true, true,
     true, 0x34, 1 << 26, 0x30, 23, "ESP-ROM:esp32c61-eco3-20240918"},
    {Chip::kEsp32H2, 0xD7B73E80, 0x60003000, 0x600B0800, 0x44, 0x60000014, 32 * kMhz, true, true,
     true, 0x38, 1 << 20, 0x34, 18, "ESP-ROM:esp32h2-20221101"},
    {Chip::kEsp32P4, 0x00000000, 0x5008D000, 0x5012D000, 0x44, 0x500CA014, 40 * kMhz, true, true,
     true, 0x38, 1 << 20, 0x34, 18, "ESP-ROM:esp32p4-eco2-20240710"},
};

}  // namespace

const ChipModel& ModelOf(Chip chip) { return kModels[static_cast<size_t>(chip)]; }

std::optional<RtcWatchdogModel> RtcWatchdogOf(Chip chip) {
  switch (chip) {
    case Chip::kEsp32S2:
      return RtcWatchdogModel{0x3F408094, 0x3F408098, 0x3F4080AC, 90'000};
    case Chip::kEsp32S3:
      return RtcWatchdogModel{0x60008098, 0x6000809C, 0x600080B0, 136'000};
    case Chip::kEsp32C3:
      return RtcWatchdogModel{0x60008090, 0x60008094, 0x600080A8, 136'000};
    case Chip::kEsp32P4:
      return RtcWatchdogModel{0x50116000, 0x50116004, 0x50116018, 136'000};
    default:
      return std::nullopt;
  }
}

}  // namespace kiln::simulator
