#include "daemon/esp/chip_detection.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/loader_link.h"
#include "daemon/esp/loader_traits.h"
#include "errors/error.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;

absl::StatusOr<uint32_t> ReadField(LoaderClient& loader, const EfuseField& field) {
  ASSIGN_OR_RETURN(const uint32_t word, loader.ReadRegister(field.address));
  return word & field.mask;
}

absl::StatusOr<MacAddress> ReadMac(LoaderClient& loader, uint32_t address) {
  ASSIGN_OR_RETURN(const uint32_t low, loader.ReadRegister(address));
  ASSIGN_OR_RETURN(const uint32_t high, loader.ReadRegister(address + 4));
  return MacOfWords(low, high);
}

absl::Status SecureDownload(absl::string_view chip) {
  return errors::MakeError(ErrorCode::kChipSecured,
                           absl::StrCat(std::string(chip),
                                        " is in Secure Download Mode: it allows neither reading "
                                        "its MAC address nor checking what was written"));
}

}  // namespace

MacAddress MacOfWords(uint32_t low, uint32_t high) {
  return {static_cast<uint8_t>(high >> 8), static_cast<uint8_t>(high),
          static_cast<uint8_t>(low >> 24), static_cast<uint8_t>(low >> 16),
          static_cast<uint8_t>(low >> 8),  static_cast<uint8_t>(low)};
}

absl::StatusOr<DetectedChip> DetectChip(LoaderClient& loader) {
  DetectedChip detected;
  std::optional<Chip> chip;
  std::optional<SecurityInfo> security;

  const absl::StatusOr<uint32_t> magic = loader.ReadRegister(kMagicRegister);
  if (magic.ok()) {
    detected.magic = *magic;
    chip = ChipOfMagic(*magic);
    if (*magic == kEsp8266Magic) {
      return errors::MakeError(ErrorCode::kChipUnknown, "an ESP8266, which Kiln does not flash");
    }
  } else if (!errors::Is(magic.status(), ErrorCode::kProtocolError)) {
    return magic.status();
  }

  // The ESP32's ROM alone does not know the question.
  if (!chip.has_value() || LoaderTraitsOf(*chip).has_security_info) {
    const absl::StatusOr<SecurityInfo> answer = loader.GetSecurityInfo();
    if (answer.ok()) {
      security = *answer;
    } else if (!errors::Is(answer.status(), ErrorCode::kProtocolError)) {
      return answer.status();
    }
  }
  if (!chip.has_value() && security.has_value()) {
    chip = security->chip_id.has_value()
               ? ChipOfImageId(static_cast<uint16_t>(std::min(*security->chip_id, 0xFFFFu)))
               : Chip::kEsp32S2;
  }
  if (!chip.has_value()) {
    std::string seen = magic.ok() ? absl::StrFormat("magic 0x%08x", *magic) : "no magic";
    if (security.has_value() && security->chip_id.has_value()) {
      absl::StrAppend(&seen, ", chip id ", *security->chip_id);
    }
    return errors::MakeError(ErrorCode::kChipUnknown, seen);
  }
  detected.chip = *chip;
  if (security.has_value() && security->secure_download()) {
    return SecureDownload(TraitsOf(*chip).name);
  }
  // Not that mode, so the question itself must have been damaged on its way.
  if (!magic.ok()) return magic.status();

  const LoaderTraits& traits = LoaderTraitsOf(*chip);
  if (security.has_value()) {
    detected.secure_boot = security->secure_boot();
    detected.flash_encryption = security->flash_encryption();
  } else {
    ASSIGN_OR_RETURN(const uint32_t crypt_count, ReadField(loader, traits.crypt_count));
    ASSIGN_OR_RETURN(const uint32_t secure_boot, ReadField(loader, traits.secure_boot));
    detected.flash_encryption = std::popcount(crypt_count) % 2 == 1;
    detected.secure_boot = secure_boot != 0;
  }
  // Answers carry no checksum, and the MAC decides which board this is: read it twice.
  ASSIGN_OR_RETURN(detected.mac, ReadMac(loader, traits.mac_register));
  ASSIGN_OR_RETURN(const MacAddress again, ReadMac(loader, traits.mac_register));
  if (again != detected.mac) {
    return errors::MakeError(ErrorCode::kProtocolError,
                             absl::StrCat("two readings of the MAC address differ: ",
                                          FormatMac(detected.mac), " and ", FormatMac(again)));
  }
  return detected;
}

absl::Status CheckUnsecured(const DetectedChip& detected) {
  std::vector<std::string> reasons;
  if (detected.secure_boot) reasons.push_back("secure boot");
  if (detected.flash_encryption) reasons.push_back("flash encryption");
  if (reasons.empty()) return absl::OkStatus();
  return errors::MakeError(
      ErrorCode::kChipSecured,
      absl::StrCat(std::string(TraitsOf(detected.chip).name), " ", FormatMac(detected.mac), " has ",
                   absl::StrJoin(reasons, " and "),
                   " enabled in its eFuses; plain firmware would not start"));
}

absl::Status StopWatchdogs(LoaderClient& loader, Chip chip) {
  const std::optional<WatchdogRegisters>& watchdogs = LoaderTraitsOf(chip).watchdogs;
  if (!watchdogs.has_value()) return absl::OkStatus();
  RETURN_IF_ERROR(loader.WriteRegister(watchdogs->protect, kWatchdogKey));
  RETURN_IF_ERROR(loader.WriteRegister(watchdogs->config, 0));
  RETURN_IF_ERROR(loader.WriteRegister(watchdogs->protect, 0));
  RETURN_IF_ERROR(loader.WriteRegister(watchdogs->super_protect, watchdogs->super_key));
  RETURN_IF_ERROR(loader.WriteRegister(watchdogs->super_config, watchdogs->super_auto_feed,
                                       watchdogs->super_auto_feed));
  return loader.WriteRegister(watchdogs->super_protect, 0);
}

absl::Status ResetByWatchdog(LoaderClient& loader, Chip chip) {
  const LoaderTraits& traits = LoaderTraitsOf(chip);
  if (!traits.leaves_usb_otg_by_watchdog || !traits.watchdogs.has_value()) {
    return absl::FailedPreconditionError("this chip is not reset by its watchdog");
  }
  RETURN_IF_ERROR(loader.WriteRegister(traits.watchdogs->protect, kWatchdogKey));
  RETURN_IF_ERROR(loader.WriteRegister(traits.watchdogs->stage_0_hold, kWatchdogResetCycles));
  return loader.WriteRegister(traits.watchdogs->config, kWatchdogResetsChip);
}

uint32_t RomBaudRate(uint32_t believed_mhz, absl::Span<const uint32_t> candidates_mhz,
                     uint32_t divider_word, uint32_t rate) {
  constexpr uint32_t kDividerMask = 0xFFFFF;
  // Anything further from every crystal than this is no reading.
  constexpr double kTolerance = 0.08;
  const double mhz = static_cast<double>(divider_word & kDividerMask) * kFirstContactBaudRate / 1e6;
  for (const uint32_t candidate : candidates_mhz) {
    if (std::abs(mhz - candidate) > kTolerance * candidate) continue;
    return static_cast<uint32_t>(uint64_t{rate} * believed_mhz / candidate);
  }
  return rate;
}

std::optional<uint32_t> CrystalHzOfEsp32Rom(uint32_t calibration, uint32_t efuse_word4) {
  // The counter ran for a number of slow clock cycles that makes one count 15625 / 40 times the
  // oscillator's MHz.
  const uint64_t hz = uint64_t{calibration >> 7} * 15625 * (efuse_word4 & 0xFF) / 40;
  if (hz < 20'000'000 || hz > 50'000'000) return std::nullopt;
  return static_cast<uint32_t>(hz);
}

absl::StatusOr<uint32_t> FindRomBaudRate(LoaderClient& loader, Chip chip, uint32_t rate) {
  if (loader.stub()) return rate;
  if (chip == Chip::kEsp32) {
    constexpr uint32_t kCalibration = 0x3FF5F06C;  // TIMG0 RTCCALICFG1
    constexpr uint32_t kEfuseWord4 = 0x3FF5A010;   // BLOCK0
    ASSIGN_OR_RETURN(const uint32_t calibration, loader.ReadRegister(kCalibration));
    ASSIGN_OR_RETURN(const uint32_t word4, loader.ReadRegister(kEfuseWord4));
    const std::optional<uint32_t> measured = CrystalHzOfEsp32Rom(calibration, word4);
    if (!measured.has_value()) return rate;
    const uint32_t soldered = *measured > 33'000'000 ? 40'000'000 : 26'000'000;
    return static_cast<uint32_t>(uint64_t{rate} * *measured / soldered);
  }
  const std::optional<CrystalQuirk>& quirk = LoaderTraitsOf(chip).crystal;
  if (!quirk.has_value()) return rate;
  ASSIGN_OR_RETURN(const uint32_t divider, loader.ReadRegister(quirk->divider_register));
  uint32_t believed_mhz = quirk->rom_mhz;
  if (believed_mhz == 0) {
    ASSIGN_OR_RETURN(const uint32_t word, loader.ReadRegister(quirk->rom_mhz_register));
    believed_mhz = (word >> 24) & 0x7F;
    if (believed_mhz == 0) return rate;
  }
  return RomBaudRate(believed_mhz, quirk->candidates_mhz, divider, rate);
}

absl::StatusOr<std::string> FindStubName(LoaderClient& loader, const DetectedChip& detected) {
  const LoaderTraits& traits = LoaderTraitsOf(detected.chip);
  if (traits.stubless_magic != 0 && detected.magic == traits.stubless_magic) return std::string();
  if (detected.chip == Chip::kEsp32P4) {
    // ESP-IDF esp_efuse_table.csv of the P4: WAFER_VERSION_MAJOR is BLOCK1 bits 68-69 and 87,
    // BLOCK1 starts with the MAC.
    ASSIGN_OR_RETURN(const uint32_t word, loader.ReadRegister(traits.mac_register + 2 * 4));
    const uint32_t major = ((word >> 23) & 1) << 2 | ((word >> 4) & 3);
    if (major < 3) return std::string(kP4OldRevisionStub);
  }
  return std::string(TraitsOf(detected.chip).stub_name);
}

}  // namespace kiln::esp
