#ifndef KILN_SIMULATOR_BOOT_H_
#define KILN_SIMULATOR_BOOT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/esp/chip.h"
#include "simulator/faults.h"
#include "simulator/flash_memory.h"

namespace kiln::simulator {

// The RTC watchdog, like the power, resets the whole chip: the straps are read again.
enum class ResetCause { kPowerOn, kSoftware, kRtcWatchdog };

// What a chip prints on its UART, and when, after a reset.
struct BootLine {
  absl::Duration after;  // the reset
  std::string text;      // with its line ends
  // The board's report of itself: what a program says again and again that may not be heard at
  // once.
  bool is_report = false;
};
struct BootResult {
  std::vector<BootLine> lines;
  bool started = false;         // the application runs
  absl::Duration repeat_after;  // a failing start is tried again after this; zero: never
};

// What the ROM prints when its straps say download.
std::string DownloadModeText(esp::Chip chip, ResetCause cause);

// Starts from what is in `flash` as ROM, second-stage bootloader and application do: every header,
// checksum and digest is checked on the way, and the OTA data choose the application; then the
// application reads its NVS partition and says who it is.
BootResult BootFromFlash(esp::Chip chip, const esp::MacAddress& mac, const FlashMemory& flash,
                         const Faults& faults, ResetCause cause);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_BOOT_H_
