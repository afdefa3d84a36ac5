#ifndef KILN_SIMULATOR_CHIP_MODEL_H_
#define KILN_SIMULATOR_CHIP_MODEL_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "daemon/esp/chip.h"

namespace kiln::simulator {

// What the simulator alone needs to know of a chip. Register addresses from the chips' technical
// reference manuals (system memory map, UART, eFuse and SPI chapters).
struct ChipModel {
  esp::Chip chip;
  uint32_t magic;        // word at 0x40001000, newest revision modelled
  uint32_t spi_base;     // the SPI controller of the flash
  uint32_t efuse_base;   // eFuse controller (ESP32: its BLOCK0 read registers)
  uint32_t mac_offset;   // of the MAC's low word there
  uint32_t uart_clkdiv;  // UART0 clock divider register
  uint32_t crystal_hz;
  bool has_security_info;     // GET_SECURITY_INFO is known
  bool security_info_has_id;  // and its answer carries the chip id
  bool has_begin_encryption_word;
  // Where secure boot and the flash encryption counter stand, from efuse_base.
  uint32_t secure_boot_offset;
  uint32_t secure_boot_mask;
  uint32_t crypt_count_offset;
  uint32_t crypt_count_bit;  // lowest bit of the counter
  // How the ROM names itself when it starts: "ESP-ROM:esp32c3-api1-20210207"; empty: the old form.
  absl::string_view rom_banner;
};

const ChipModel& ModelOf(esp::Chip chip);

// The RTC watchdog (technical reference manuals, chapters "Watchdog Timers" and "Low-Power
// Management"): the registers that a host needs to make it reset the chip.
struct RtcWatchdogModel {
  uint32_t config;         // CONFIG0
  uint32_t stage_0_hold;   // CONFIG1: how long until stage 0 acts, in cycles of the slow clock
  uint32_t write_protect;  // of both; open while it holds kRtcWatchdogKey
  uint32_t slow_clock_hz;  // RC_SLOW, typical
};
inline constexpr uint32_t kRtcWatchdogKey = 0x50D83AA1;
// Of the chips for which it is modelled.
std::optional<RtcWatchdogModel> RtcWatchdogOf(esp::Chip chip);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_CHIP_MODEL_H_
