#ifndef KILN_DAEMON_ESP_LOADER_TRAITS_H_
#define KILN_DAEMON_ESP_LOADER_TRAITS_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/esp/chip.h"

namespace kiln::esp {

// Facts of a chip that only talking to its loader needs; private to this folder. Sources are named
// per field in loader_traits.cc.

// Registers of the SPI controller that serves the flash. Addresses.
struct SpiRegisters {
  uint32_t cmd;
  uint32_t usr;
  uint32_t usr2;
  uint32_t miso_dlen;
  uint32_t w0;
};

// A field of one 32-bit eFuse word.
struct EfuseField {
  uint32_t address;
  uint32_t mask;
};

// Where the ROM may compute with another crystal than the one that is soldered (see RomBaudRate).
struct CrystalQuirk {
  uint32_t divider_register;   // UART0's clock divider
  uint32_t rom_mhz;            // what the ROM computes with; 0 when a register says it …
  uint32_t rom_mhz_register;   // … in bits 24 to 30
  uint32_t candidates_mhz[2];  // crystals that are soldered
};

// The RTC watchdog and the super watchdog. Addresses.
struct WatchdogRegisters {
  uint32_t config;        // 0: off
  uint32_t stage_0_hold;  // how long until its first stage acts, in cycles of the slow clock
  uint32_t protect;       // of both
  uint32_t super_config;
  uint32_t super_protect;    // of `super_config`
  uint32_t super_key;        // unlocks it
  uint32_t super_auto_feed;  // bit of `super_config`
};
inline constexpr uint32_t kWatchdogKey = 0x50D83AA1;  // unlocks what `protect` protects
// A setting of `config` that resets the whole chip, so that its straps are read again: enabled (bit
// 31), first stage 5 (bits 28-30), reset of the chip allowed (bit 8) and 2 cycles long (bits 0-7).
// As esptool sets it, which is what boards have been reset with.
inline constexpr uint32_t kWatchdogResetsChip = 1u << 31 | 5u << 28 | 1u << 8 | 2;
// 28 ms at 90 kHz, 18 ms at 136 kHz: time for the loader to acknowledge.
inline constexpr uint32_t kWatchdogResetCycles = 2500;

struct LoaderTraits {
  Chip chip;
  // Values of the word at kMagicRegister, one for each ROM revision that has one.
  absl::Span<const uint32_t> magics = {};
  SpiRegisters spi;
  // Low word of the base MAC; the high word follows.
  uint32_t mac_register;
  EfuseField crypt_count;  // odd number of bits set: flash encryption is on
  EfuseField secure_boot;  // any bit set: secure boot is on
  // ROM knows GET_SECURITY_INFO, and its *_BEGIN take a fifth word (encryption). True for all but
  // the oldest.
  bool has_security_info = true;
  bool begin_has_extra_word = true;
  std::optional<CrystalQuirk> crystal = std::nullopt;
  // The magic of a revision on which no stub can run; 0 means none.
  uint32_t stubless_magic = 0;
  // Cleared before a reset over USB so that the chip does not come back in download mode; 0: none.
  uint32_t force_download_register = 0;
  // Of the chips with a USB of their own. A reset through USB-Serial/JTAG leaves these running.
  std::optional<WatchdogRegisters> watchdogs = std::nullopt;
  // Whether its USB-OTG has no reset line, so that the watchdog is the way out of the loader.
  bool leaves_usb_otg_by_watchdog = false;
};

const LoaderTraits& LoaderTraitsOf(Chip chip);

// A word whose content differs between the chips.
inline constexpr uint32_t kMagicRegister = 0x40001000;
inline constexpr uint32_t kEsp8266Magic = 0xFFF0C101;
// The chip whose ROM has `magic`.
std::optional<Chip> ChipOfMagic(uint32_t magic);

// Flash size in bytes of a JEDEC id (manufacturer in bits 0-7, capacity in bits 16-23); nothing
// when no flash answered or the capacity is not in the table.
std::optional<uint32_t> FlashSizeOfJedecId(uint32_t jedec_id);

// Block sizes in bytes. Sources: esp-flasher-stub src/frame_buffer.h; ROM as esptool and
// esp-serial-flasher use it; the cap for USB-OTG is the CDC driver's buffer.
inline constexpr uint32_t kStubFlashBlock = 0x4000;
inline constexpr uint32_t kRomFlashBlock = 0x400;
inline constexpr uint32_t kMemoryBlock = 0x1800;
inline constexpr uint32_t kUsbOtgBlockCap = 0x800;

// P4 revision 3.0 moved its memories; older silicon needs its own stub.
inline constexpr absl::string_view kP4OldRevisionStub = "esp32p4-rev1";

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_LOADER_TRAITS_H_
