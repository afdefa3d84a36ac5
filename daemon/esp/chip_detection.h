#ifndef KILN_DAEMON_ESP_CHIP_DETECTION_H_
#define KILN_DAEMON_ESP_CHIP_DETECTION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/loader_client.h"

namespace kiln::esp {

struct DetectedChip {
  Chip chip;
  uint32_t magic = 0;  // 0 where it could not be read
  MacAddress mac{};
  bool secure_boot = false;
  bool flash_encryption = false;
};

// Asks a synchronised loader which chip it runs on, its MAC address and whether it is secured.
// Errors: ChipUnknown with what was read; ChipSecured for a chip in Secure Download Mode, which
// does not even tell its MAC; those of the link.
absl::StatusOr<DetectedChip> DetectChip(LoaderClient& loader);

// ChipSecured with an explanation, unless everything is open.
absl::Status CheckUnsecured(const DetectedChip& detected);

// Keeps the watchdogs from resetting a chip that was reset through its USB-Serial/JTAG peripheral,
// where they survive. Nothing on chips without it.
absl::Status StopWatchdogs(LoaderClient& loader, Chip chip);
// Makes the RTC watchdog reset the whole chip in some milliseconds. FAILED_PRECONDITION for chips
// whose loader is left in another way.
absl::Status ResetByWatchdog(LoaderClient& loader, Chip chip);

// The MAC in two eFuse words.
MacAddress MacOfWords(uint32_t low, uint32_t high);

// The rate a ROM must be told for `rate` to come out, given what it believes of its crystal and
// what its UART's divider says at the first contact. Differs from `rate` only where the divider
// clearly shows another of the `candidates_mhz` than `believed_mhz`.
uint32_t RomBaudRate(uint32_t believed_mhz, absl::Span<const uint32_t> candidates_mhz,
                     uint32_t divider_word, uint32_t rate);

// The crystal in Hz as the ESP32's ROM measures it against its 8 MHz oscillator: `calibration` is
// TIMG0's RTCCALICFG1, `efuse_word4` holds CK8M_FREQ. Nothing when the words make no sense.
std::optional<uint32_t> CrystalHzOfEsp32Rom(uint32_t calibration, uint32_t efuse_word4);

// What to tell this chip's ROM for `rate`, from its registers. Before any change of rate.
absl::StatusOr<uint32_t> FindRomBaudRate(LoaderClient& loader, Chip chip, uint32_t rate);

// File name (without ".json") of the stub that fits this silicon; empty when none can run.
absl::StatusOr<std::string> FindStubName(LoaderClient& loader, const DetectedChip& detected);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_CHIP_DETECTION_H_
