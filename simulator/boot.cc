#include "simulator/boot.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/little_endian.h"
#include "simulator/chip_model.h"

namespace kiln::simulator {

std::string DownloadModeText(esp::Chip chip, ResetCause cause) {
  const ChipModel& model = ModelOf(chip);
  const bool old_rom = chip == esp::Chip::kEsp32;
  std::string text;
  if (old_rom) {
    text = "ets Jul 29 2019 12:21:46\r\n\r\n";
  } else {
    text = absl::StrCat(model.rom_banner, "\r\n");
  }
  const bool power_on = cause == ResetCause::kPowerOn;
  absl::StrAppend(&text,
                  old_rom ? (power_on ? "rst:0x1 (POWERON_RESET)" : "rst:0xc (SW_CPU_RESET)")
                          : (power_on ? "rst:0x1 (POWERON)" : "rst:0x3 (RTC_SW_SYS_RST)"),
                  old_rom ? ",boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n"
                          : ",boot:0x5 (DOWNLOAD(USB/UART0))\r\n",
                  "waiting for download\r\n");
  return text;
}

BootResult BootFromFlash(esp::Chip chip, const esp::MacAddress& /*mac*/, const FlashMemory& flash,
                         const Faults& /*faults*/, ResetCause /*cause*/) {
  BootResult result;
  uint8_t word[4];
  flash.Read(esp::TraitsOf(chip).bootloader_offset, absl::MakeSpan(word));
  result.lines.push_back(
      {absl::Milliseconds(1), absl::StrFormat("invalid header: 0x%08x\r\n", base::LoadLe32(word))});
  result.repeat_after = absl::Milliseconds(300);
  return result;
}

}  // namespace kiln::simulator
