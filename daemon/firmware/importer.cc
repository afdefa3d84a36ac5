#include "daemon/firmware/importer.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/image_header.h"
#include "daemon/esp/image/partition_table.h"
#include "errors/error.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;

// The only .bin of the package, if there is exactly one; a package of one file counts as such.
std::optional<std::string> OnlyImage(const Package& package) {
  if (package.files().size() == 1) return package.files().begin()->first;
  std::optional<std::string> only;
  for (const auto& [path, content] : package.files()) {
    if (!absl::EndsWithIgnoreCase(path, ".bin")) continue;
    if (only.has_value()) return std::nullopt;
    only = path;
  }
  return only;
}

bool HasLabel(const ImportedFirmware& firmware, absl::string_view label) {
  return std::any_of(firmware.images.begin(), firmware.images.end(),
                     [label](const ImportedImage& image) { return image.label == label; });
}

}  // namespace

absl::StatusOr<ImportedFirmware> ImportPackage(const Package& package,
                                               const ImportRequest& request) {
  std::optional<esp::Chip> wanted;
  if (!request.chip.empty()) {
    wanted = esp::ParseChip(request.chip);
    if (!wanted.has_value()) {
      return MakeError(ErrorCode::kBundleUnsupported,
                       absl::StrCat("chip \"", CleanText(request.chip, 40), "\" is not supported"));
    }
  }
  // The most specific description first: a manifest often lies beside the files of another kind.
  ASSIGN_OR_RETURN(std::optional<ImportedFirmware> firmware, ImportWebTools(package, wanted));
  if (!firmware.has_value()) {
    ASSIGN_OR_RETURN(firmware, ImportIdf(package));
  }
  if (!firmware.has_value()) {
    ASSIGN_OR_RETURN(firmware, ImportPlatformio(package));
  }
  if (firmware.has_value()) return *std::move(firmware);
  if (const std::optional<std::string> path = OnlyImage(package); path.has_value()) {
    return ImportMergedImage(package, *path);
  }
  return MakeError(ErrorCode::kBundleUnsupported,
                   "the zip holds no flasher_args.json, no ESP Web Tools manifest.json, no "
                   "PlatformIO build and no single .bin");
}

std::optional<esp::Chip> FindBootloaderChip(absl::Span<const uint8_t> bytes,
                                            uint32_t flash_offset) {
  for (const uint32_t offset : {0x0u, 0x1000u, 0x2000u}) {
    if (offset < flash_offset || offset - flash_offset >= bytes.size()) continue;
    const auto header = esp::ParseImageHeader(bytes.subspan(offset - flash_offset));
    if (header.ok() && esp::TraitsOf(header->chip).bootloader_offset == offset) {
      return header->chip;
    }
  }
  return std::nullopt;
}

void LabelWellKnownImages(ImportedFirmware& firmware) {
  const bool has_bootloader = HasLabel(firmware, kBootloaderLabel);
  const bool has_table = HasLabel(firmware, kPartitionTableLabel);
  for (ImportedImage& image : firmware.images) {
    if (!has_bootloader) {
      const bool in_place = firmware.chip.has_value()
                                ? esp::TraitsOf(*firmware.chip).bootloader_offset == image.offset
                                : FindBootloaderChip(image.bytes, image.offset).has_value();
      if (in_place) image.label = std::string(kBootloaderLabel);
    }
    if (!has_table && image.offset == esp::kDefaultPartitionTableOffset) {
      image.label = std::string(kPartitionTableLabel);
    }
  }
}

void AddFact(ImportedFirmware& firmware, const char* name, absl::string_view value) {
  if (!value.empty()) firmware.facts[name] = CleanText(value);
}

}  // namespace kiln::firmware
