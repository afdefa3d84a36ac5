#include "daemon/esp/loader_traits.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "daemon/esp/chip.h"

namespace kiln::esp {
namespace {

// Magics, SPI bases and MAC words: esp-serial-flasher, src/esp_targets.c. The P4's ROM does not
// start at the magic's address; it is found by GET_SECURITY_INFO.
constexpr uint32_t kMagicsEsp32[] = {0x00F01D83};
constexpr uint32_t kMagicsS2[] = {0x000007C6};
constexpr uint32_t kMagicsS3[] = {0x00000009};
constexpr uint32_t kMagicsC2[] = {0x6F51306F, 0x7C41A06F, 0x0C21E06F};
constexpr uint32_t kMagicsC3[] = {0x6921506F, 0x1B31506F, 0x4881606F, 0x4361606F};
constexpr uint32_t kMagicsC5[] = {0x1101406F, 0x5FD1406F};
constexpr uint32_t kMagicsC6[] = {0x2CE0806F};
constexpr uint32_t kMagicsC61[] = {0x7211606F};
constexpr uint32_t kMagicsH2[] = {0xD7B73E80};

constexpr SpiRegisters SpiAt(uint32_t base) {
  return {base, base + 0x18, base + 0x20, base + 0x28, base + 0x58};
}
// The ESP32's controller is an older one with other offsets.
constexpr SpiRegisters SpiOfEsp32(uint32_t base) {
  return {base, base + 0x1C, base + 0x24, base + 0x2C, base + 0x80};
}

// eFuse words: ESP-IDF, components/efuse/<chip>/esp_efuse_table.csv; BLOCK0's first word is at
// eFuse base + 0x2C (ESP32: + 0x00).
constexpr EfuseField CryptCount(uint32_t efuse_base) { return {efuse_base + 0x34, 0x7u << 18}; }
constexpr EfuseField SecureBoot(uint32_t efuse_base) { return {efuse_base + 0x38, 1u << 20}; }

constexpr uint32_t kUartClockDivider = 0x60000014;  // UART_CLKDIV_REG of UART0
constexpr uint32_t kC5SystemClock = 0x60096110;     // PCR_SYSCLK_CONF_REG of the C5

// Technical reference manuals, chapters RTC_CNTL and LP watchdog (ESP-IDF soc/rtc_cntl_reg.h,
// soc/lp_wdt_reg.h, soc/reg_base.h).
constexpr WatchdogRegisters kWatchdogsS2 = {0x3F408094, 0x3F408098, 0x3F4080AC, 0x3F4080B0,
                                            0x3F4080B4, 0x8F1D312A, 1u << 31};
constexpr WatchdogRegisters kWatchdogsS3 = {0x60008098, 0x6000809C, 0x600080B0, 0x600080B4,
                                            0x600080B8, 0x8F1D312A, 1u << 31};
constexpr WatchdogRegisters kWatchdogsC3 = {0x60008090, 0x60008094, 0x600080A8, 0x600080AC,
                                            0x600080B0, 0x8F1D312A, 1u << 31};
constexpr WatchdogRegisters LpWatchdogsAt(uint32_t base) {
  return {base, base + 0x04, base + 0x18, base + 0x1C, base + 0x20, kWatchdogKey, 1u << 18};
}
constexpr uint32_t kLpWatchdog = 0x600B1C00;
constexpr uint32_t kLpWatchdogP4 = 0x50116000;

constexpr LoaderTraits kTraits[] = {
    {.chip = Chip::kEsp32,
     .magics = kMagicsEsp32,
     .spi = SpiOfEsp32(0x3FF42000),
     .mac_register = 0x3FF5A004,
     .crypt_count = {0x3FF5A000, 0x7Fu << 20},  // FLASH_CRYPT_CNT
     .secure_boot = {0x3FF5A018, 0x3u << 4},    // ABS_DONE_0 (secure boot V1) and ABS_DONE_1 (V2)
     .has_security_info = false,
     .begin_has_extra_word = false},
    {.chip = Chip::kEsp32S2,
     .magics = kMagicsS2,
     .spi = SpiAt(0x3F402000),
     .mac_register = 0x3F41A044,
     .crypt_count = CryptCount(0x3F41A000),
     .secure_boot = SecureBoot(0x3F41A000),
     .force_download_register = 0x3F408128,
     .watchdogs = kWatchdogsS2,
     .leaves_usb_otg_by_watchdog = true},
    {.chip = Chip::kEsp32S3,
     .magics = kMagicsS3,
     .spi = SpiAt(0x60002000),
     .mac_register = 0x60007044,
     .crypt_count = CryptCount(0x60007000),
     .secure_boot = SecureBoot(0x60007000),
     .force_download_register = 0x6000812C,
     .watchdogs = kWatchdogsS3,
     .leaves_usb_otg_by_watchdog = true},
    {.chip = Chip::kEsp32C2,
     .magics = kMagicsC2,
     .spi = SpiAt(0x60002000),
     .mac_register = 0x60008840,
     .crypt_count = {0x60008830, 0x7u << 7},
     .secure_boot = {0x60008830, 1u << 21},
     .crystal = CrystalQuirk{kUartClockDivider, 40, 0, {40, 26}},
     .stubless_magic = 0x6F51306F},
    {.chip = Chip::kEsp32C3,
     .magics = kMagicsC3,
     .spi = SpiAt(0x60002000),
     .mac_register = 0x60008844,
     .crypt_count = CryptCount(0x60008800),
     .secure_boot = SecureBoot(0x60008800),
     .watchdogs = kWatchdogsC3},
    {.chip = Chip::kEsp32C5,
     .magics = kMagicsC5,
     .spi = SpiAt(0x60003000),
     .mac_register = 0x600B4844,
     .crypt_count = {0x600B4834, 0x7u << 16},
     .secure_boot = {0x600B4838, 1u << 25},
     .crystal = CrystalQuirk{kUartClockDivider, 0, kC5SystemClock, {40, 48}},
     .watchdogs = LpWatchdogsAt(kLpWatchdog)},
    {.chip = Chip::kEsp32C6,
     .magics = kMagicsC6,
     .spi = SpiAt(0x60003000),
     .mac_register = 0x600B0844,
     .crypt_count = CryptCount(0x600B0800),
     .secure_boot = SecureBoot(0x600B0800),
     .watchdogs = LpWatchdogsAt(kLpWatchdog)},
    {.chip = Chip::kEsp32C61,
     .magics = kMagicsC61,
     .spi = SpiAt(0x60003000),
     .mac_register = 0x600B4844,
     .crypt_count = {0x600B4830, 0x7u << 23},
     .secure_boot = {0x600B4834, 1u << 26},
     .watchdogs = LpWatchdogsAt(kLpWatchdog)},
    {.chip = Chip::kEsp32H2,
     .magics = kMagicsH2,
     .spi = SpiAt(0x60003000),
     .mac_register = 0x600B0844,
     .crypt_count = CryptCount(0x600B0800),
     .secure_boot = SecureBoot(0x600B0800),
     .watchdogs = LpWatchdogsAt(kLpWatchdog)},
    {.chip = Chip::kEsp32P4,
     .spi = SpiAt(0x5008D000),
     .mac_register = 0x5012D044,
     .crypt_count = CryptCount(0x5012D000),
     .secure_boot = SecureBoot(0x5012D000),
     .watchdogs = LpWatchdogsAt(kLpWatchdogP4),
     .leaves_usb_otg_by_watchdog = true},
};

}  // namespace

const LoaderTraits& LoaderTraitsOf(Chip chip) { return kTraits[static_cast<size_t>(chip)]; }

std::optional<Chip> ChipOfMagic(uint32_t magic) {
  for (const LoaderTraits& traits : kTraits) {
    if (std::find(traits.magics.begin(), traits.magics.end(), magic) != traits.magics.end()) {
      return traits.chip;
    }
  }
  return std::nullopt;
}

std::optional<uint32_t> FlashSizeOfJedecId(uint32_t jedec_id) {
  const uint32_t id = jedec_id & 0xFFFFFF;
  if (id == 0 || id == 0xFFFFFF) return std::nullopt;
  // JEDEC capacity codes as NOR makers use them: 0x12-0x1C are powers of two; some Micron and
  // Macronix parts continue with 0x20-0x22, some Fudan and XMC parts use 0x32-0x3A.
  const uint32_t capacity = id >> 16;
  uint32_t exponent = 0;
  if (capacity >= 0x12 && capacity <= 0x1C) exponent = capacity;
  if (capacity >= 0x20 && capacity <= 0x22) exponent = capacity - 0x20 + 26;
  if (capacity >= 0x32 && capacity <= 0x3A) exponent = capacity - 0x20;
  if (exponent == 0) return std::nullopt;
  return uint32_t{1} << exponent;
}

}  // namespace kiln::esp
