#include "simulator/boot.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "nlohmann/json.hpp"
#include "simulator/chip_model.h"
#include "simulator/image_check.h"
#include "simulator/nvs_reader.h"
#include "simulator/ota_selection.h"

namespace kiln::simulator {
namespace {

constexpr uint32_t kPartitionTableOffset = 0x8000;
constexpr uint8_t kTypeApp = 0;
constexpr uint8_t kTypeData = 1;
constexpr uint8_t kSubtypeFactory = 0x00;
constexpr uint8_t kSubtypeOta0 = 0x10;
constexpr uint8_t kSubtypeOta15 = 0x1F;
constexpr uint8_t kSubtypeOtaData = 0x00;
constexpr uint8_t kSubtypeNvs = 0x02;

// When, after the reset, each stage speaks; and how long the ROM's watchdog lets a failed start
// stand.
constexpr absl::Duration kBootloaderAfter = absl::Milliseconds(25);
constexpr absl::Duration kApplicationAfter = absl::Milliseconds(60);
constexpr absl::Duration kIdentityAfter = absl::Milliseconds(90);
constexpr absl::Duration kLoopPeriod = absl::Milliseconds(380);

constexpr size_t kMaxIdentityLine = 1024;

std::string ResetLine(esp::Chip chip, ResetCause cause, absl::string_view boot) {
  std::string text;
  const bool old_rom = chip == esp::Chip::kEsp32;
  absl::string_view reason;
  if (old_rom) {
    text = "ets Jul 29 2019 12:21:46\r\n\r\n";
    reason = cause == ResetCause::kPowerOn ? "rst:0x1 (POWERON_RESET)" : "rst:0xc (SW_CPU_RESET)";
  } else {
    text = absl::StrCat(ModelOf(chip).rom_banner, "\r\n");
    reason = cause == ResetCause::kPowerOn    ? "rst:0x1 (POWERON)"
             : cause == ResetCause::kSoftware ? "rst:0x3 (RTC_SW_SYS_RST)"
                                              : "rst:0x10 (RTCWDT_RTC_RST)";
  }
  absl::StrAppend(&text, reason, ",", boot, "\r\n");
  return text;
}

// Says who the board is, in the one line `confirm` waits for.
std::string IdentityLine(const esp::MacAddress& mac, const NvsContents& nvs,
                         const LoadedImage& application, const Faults& faults) {
  const auto value = [&](absl::string_view key) { return nvs.StringAt("kiln", key); };
  nlohmann::ordered_json line;
  line["kiln"] = 1;
  line["mac_address"] = faults.identity_mac.empty() ? esp::FormatMac(mac) : faults.identity_mac;
  line["customer_id"] =
      faults.identity_customer.empty() ? value("customer_id") : faults.identity_customer;
  line["organization"] = value("organization");
  line["application"] = value("application");
  line["wifi_ssid"] = value("ssid");
  line["deployment"] = value("deployment");
  line["firmware"] = application.version;
  const auto dump = [&] {
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  };
  std::string text = dump();
  if (text.size() > kMaxIdentityLine) {
    line.erase("organization");
    line.erase("application");
    text = dump();
  }
  return text;
}

class Starter {
 public:
  Starter(esp::Chip chip, const esp::MacAddress& mac, const FlashMemory& flash,
          const Faults& faults, ResetCause cause)
      : chip_(chip), mac_(mac), flash_(flash), faults_(faults), cause_(cause) {}

  BootResult Run() {
    if (!RunRom() || !RunBootloader()) {
      result_.repeat_after = kLoopPeriod;
      return std::move(result_);
    }
    RunApplication();
    result_.started = true;
    return std::move(result_);
  }

 private:
  absl::Span<const uint8_t> FlashFrom(uint32_t offset) const {
    return flash_.contents().subspan(std::min<size_t>(offset, flash_.size()));
  }
  void Print(absl::Duration after, absl::string_view text) {
    result_.lines.push_back({after, absl::StrCat(text, "\r\n")});
  }
  void Log(absl::Duration after, char level, absl::string_view tag, absl::string_view text) {
    Print(after,
          absl::StrFormat("%c (%d) %s: %s", level, absl::ToInt64Milliseconds(after), tag, text));
  }

  // The first stage: loads the second from its fixed place.
  bool RunRom() {
    const bool old_rom = chip_ == esp::Chip::kEsp32;
    result_.lines.push_back(
        {absl::ZeroDuration(), ResetLine(chip_, cause_,
                                         old_rom ? "boot:0x13 (SPI_FAST_FLASH_BOOT)"
                                                 : "boot:0xc (SPI_FAST_FLASH_BOOT)")});
    const absl::Span<const uint8_t> place = FlashFrom(esp::TraitsOf(chip_).bootloader_offset);
    const absl::Duration now = absl::Milliseconds(5);
    if (place[0] != 0xE9) {
      // The ROM tries again until its watchdog bites.
      const std::string line = absl::StrFormat("invalid header: 0x%08x", base::LoadLe32(&place[0]));
      for (int i = 0; i < 4; ++i) Print(now + i * absl::Milliseconds(20), line);
      return false;
    }
    const LoadedImage bootloader = CheckImage(chip_, place);
    if (!bootloader.problem.empty()) {
      Print(now, bootloader.problem);
      Print(now, "ets_main.c 371");
      return false;
    }
    Print(now, "configsip: 0, SPIWP:0xee");
    Print(now, "mode:DIO, clock div:2");
    for (const ImageSegment& segment : bootloader.segments) {
      Print(now, absl::StrFormat("load:0x%08x,len:%d", segment.load_address, segment.size));
    }
    Print(now, absl::StrFormat("entry 0x%08x", bootloader.entry));
    return true;
  }

  // The second stage: finds the application by the partition table.
  bool RunBootloader() {
    const absl::Duration now = kBootloaderAfter;
    Log(now, 'I', "boot", "2nd stage bootloader");
    const PartitionTable table = ReadPartitionTable(FlashFrom(kPartitionTableOffset));
    if (!table.problem.empty()) {
      Log(now, 'E', "flash_parts", table.problem);
      Log(now, 'E', "boot", "Failed to verify partition table");
      return false;
    }
    Log(now, 'I', "boot", "Partition Table:");
    const PartitionEntry* factory = nullptr;
    std::vector<const PartitionEntry*> slots;  // ota_0, ota_1, … without a gap
    absl::Span<const uint8_t> ota_data;
    for (const PartitionEntry& entry : table.entries) {
      Log(now, 'I', "boot",
          absl::StrFormat("%-16s %02x %02x %08x %08x", entry.label, entry.type, entry.subtype,
                          entry.offset, entry.size));
      if (uint64_t{entry.offset} + entry.size > flash_.size()) {
        Log(now, 'E', "flash_parts",
            absl::StrFormat("partition %s exceeds flash chip size 0x%x", entry.label,
                            flash_.size()));
        return false;
      }
      if (entry.type == kTypeApp && entry.subtype == kSubtypeFactory) factory = &entry;
      if (entry.type == kTypeApp && entry.subtype == kSubtypeOta0 + slots.size() &&
          entry.subtype <= kSubtypeOta15) {
        slots.push_back(&entry);
      }
      if (entry.type == kTypeData && entry.subtype == kSubtypeOtaData && ota_data.empty()) {
        ota_data = FlashFrom(entry.offset).subspan(0, entry.size);
      }
      if (entry.type == kTypeData && entry.subtype == kSubtypeNvs && nvs_.empty()) {
        nvs_ = FlashFrom(entry.offset).subspan(0, entry.size);
      }
    }
    for (const PartitionEntry* application :
         InOrderOfTrial(factory, slots, SelectOtaSlot(ota_data, slots.size()))) {
      application_ =
          CheckImage(chip_, FlashFrom(application->offset).subspan(0, application->size));
      if (application_.problem.empty()) {
        Log(now, 'I', "boot",
            absl::StrFormat("Loaded app from partition at offset 0x%x", application->offset));
        return true;
      }
      Log(now, 'E', "esp_image",
          absl::StrFormat("image at 0x%x %s", application->offset, application_.problem));
    }
    Log(now, 'E', "boot", "No bootable app partitions in the partition table");
    return false;
  }

  // ESP-IDF, bootloader_utility_load_boot_image(): what the OTA data choose, or else the factory
  // application, or else the first slot; when that is spoiled, everything before it down to the
  // factory application, then everything after it.
  static std::vector<const PartitionEntry*> InOrderOfTrial(
      const PartitionEntry* factory, const std::vector<const PartitionEntry*>& slots,
      std::optional<size_t> chosen) {
    std::vector<const PartitionEntry*> order;
    const size_t down_to = chosen.has_value() ? *chosen + 1 : factory != nullptr ? 0 : 1;
    for (size_t i = std::min(down_to, slots.size()); i > 0; --i) order.push_back(slots[i - 1]);
    if (factory != nullptr) order.push_back(factory);
    for (size_t i = down_to; i < slots.size(); ++i) order.push_back(slots[i]);
    return order;
  }

  void RunApplication() {
    Log(kApplicationAfter, 'I', "app_init",
        absl::StrCat("Project name:     ", application_.project));
    Log(kApplicationAfter, 'I', "app_init",
        absl::StrCat("App version:      ", application_.version));
    Log(kApplicationAfter, 'I', "main_task", "Calling app_main()");
    const NvsContents nvs = ReadNvs(nvs_);
    for (const std::string& complaint : nvs.complaints) {
      Log(kApplicationAfter, 'E', "nvs", complaint);
    }
    if (nvs.namespaces.count("kiln") == 0) {
      Log(kApplicationAfter, 'W', "kiln", "no identity in NVS");
    }
    if (!faults_.no_identity_line) {
      Print(kIdentityAfter, IdentityLine(mac_, nvs, application_, faults_));
      result_.lines.back().is_report = true;
    }
  }

  const esp::Chip chip_;
  const esp::MacAddress& mac_;
  const FlashMemory& flash_;
  const Faults& faults_;
  const ResetCause cause_;
  BootResult result_;
  absl::Span<const uint8_t> nvs_;
  LoadedImage application_;
};

}  // namespace

std::string DownloadModeText(esp::Chip chip, ResetCause cause) {
  const absl::string_view boot = chip == esp::Chip::kEsp32
                                     ? "boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))"
                                     : "boot:0x5 (DOWNLOAD(USB/UART0))";
  return absl::StrCat(ResetLine(chip, cause, boot), "waiting for download\r\n");
}

BootResult BootFromFlash(esp::Chip chip, const esp::MacAddress& mac, const FlashMemory& flash,
                         const Faults& faults, ResetCause cause) {
  return Starter(chip, mac, flash, faults, cause).Run();
}

}  // namespace kiln::simulator
