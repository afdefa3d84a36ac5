#include "daemon/firmware/bundle_checks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/image_header.h"
#include "daemon/esp/image/partition_table.h"
#include "daemon/firmware/bundle.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"
#include "errors/error.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;

constexpr size_t kMaxImages = 64;
constexpr uint32_t kSectorBytes = 0x1000;

uint64_t EndOf(const ImportedImage& image) { return uint64_t{image.offset} + image.bytes.size(); }

// The file, and where in it the image starts.
std::string Where(const ImportedImage& image) {
  if (image.source_offset == 0) return image.source;
  return absl::StrFormat("%s from 0x%x", image.source, image.source_offset);
}

absl::Status Invalid(const ImportedImage& image, absl::string_view what) {
  return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(Where(image), ": ", what));
}

// `status` is of a parser whose message begins with "at 0x".
absl::Status Damaged(const ImportedImage& image, const absl::Status& status) {
  return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(Where(image), " ", status.message()));
}

absl::Status CheckPlaces(const std::vector<ImportedImage>& images) {
  for (size_t i = 0; i < images.size(); ++i) {
    const ImportedImage& image = images[i];
    if (image.bytes.empty()) return Invalid(image, "the file is empty");
    if (image.offset % kSectorBytes != 0) {
      return Invalid(image,
                     absl::StrFormat("offset 0x%x is not a multiple of 0x1000", image.offset));
    }
    if (EndOf(image) > esp::kMaxFlashBytes) {
      return Invalid(image, absl::StrFormat("ends at 0x%x, beyond the largest flash of 0x%x",
                                            EndOf(image), esp::kMaxFlashBytes));
    }
    if (i > 0 && EndOf(images[i - 1]) > image.offset) {
      return Invalid(
          image, absl::StrFormat("at 0x%x in flash overlaps %s, which ends at 0x%x", image.offset,
                                 Where(images[i - 1]), EndOf(images[i - 1])));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<const ImportedImage*> FindLabelled(const std::vector<ImportedImage>& images,
                                                  absl::string_view label) {
  const ImportedImage* found = nullptr;
  for (const ImportedImage& image : images) {
    if (image.label != label) continue;
    if (found != nullptr) {
      return Invalid(image, absl::StrCat("a second ", label, " beside ", Where(*found)));
    }
    found = &image;
  }
  if (found == nullptr) {
    return MakeError(ErrorCode::kBundleInvalid, absl::StrCat("the package has no ", label));
  }
  return found;
}

// Walks over the images once places are known to be right.
class Checker {
 public:
  explicit Checker(CheckedFirmware& checked) : checked_(checked) {}

  absl::Status Run(const ImportedFirmware& firmware, absl::string_view requested_chip) {
    ASSIGN_OR_RETURN(const ImportedImage* bootloader,
                     FindLabelled(checked_.images, kBootloaderLabel));
    ASSIGN_OR_RETURN(const ImportedImage* table,
                     FindLabelled(checked_.images, kPartitionTableLabel));
    RETURN_IF_ERROR(CheckBootloader(*bootloader, *table));
    RETURN_IF_ERROR(CheckChip(*bootloader, firmware.chip, requested_chip));
    ASSIGN_OR_RETURN(table_, ParseTable(*table));
    bool has_app = false;
    for (const ImportedImage& image : checked_.images) {
      if (&image == bootloader || &image == table) continue;
      ASSIGN_OR_RETURN(const bool is_app, CheckInPartition(image));
      has_app = has_app || is_app;
    }
    if (!has_app) {
      return MakeError(ErrorCode::kBundleInvalid,
                       "the package has no application for any of the "
                       "partition table's app partitions");
    }
    for (const esp::PartitionEntry& entry : table_.entries) {
      checked_.partitions.push_back({.label = entry.label,
                                     .type = entry.type,
                                     .subtype = entry.subtype,
                                     .offset = entry.offset,
                                     .size = entry.size,
                                     .flags = entry.flags});
    }
    return absl::OkStatus();
  }

 private:
  absl::Status CheckBootloader(const ImportedImage& bootloader, const ImportedImage& table) {
    const auto facts = esp::ParseImage(bootloader.bytes);
    if (!facts.ok()) return Damaged(bootloader, facts.status());
    checked_.chip = facts->header.chip;
    const esp::ChipTraits& traits = esp::TraitsOf(checked_.chip);
    if (bootloader.offset != traits.bootloader_offset) {
      return Invalid(bootloader,
                     absl::StrFormat("the bootloader of %s belongs at 0x%x, not 0x%x", traits.name,
                                     traits.bootloader_offset, bootloader.offset));
    }
    if (table.offset < bootloader.offset) {
      return Invalid(table, absl::StrFormat("the partition table at 0x%x is before the bootloader",
                                            table.offset));
    }
    return absl::OkStatus();
  }

  absl::Status CheckChip(const ImportedImage& bootloader, std::optional<esp::Chip> declared,
                         absl::string_view requested) {
    const absl::string_view name = esp::TraitsOf(checked_.chip).name;
    if (declared.has_value() && *declared != checked_.chip) {
      return Invalid(bootloader, absl::StrCat("is for ", name, ", the package says ",
                                              esp::TraitsOf(*declared).name));
    }
    if (requested.empty()) return absl::OkStatus();
    const std::optional<esp::Chip> chip = esp::ParseChip(requested);
    if (!chip.has_value()) {
      return MakeError(ErrorCode::kBundleUnsupported,
                       absl::StrCat("chip \"", CleanText(requested, 40), "\" is not supported"));
    }
    if (*chip != checked_.chip) {
      return Invalid(bootloader, absl::StrCat("at 0xc: is for ", name, ", requested was ",
                                              esp::TraitsOf(*chip).name));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<esp::PartitionTable> ParseTable(const ImportedImage& image) const {
    if (image.bytes.size() > esp::kPartitionTableSectorBytes) {
      return Invalid(image, absl::StrFormat("a partition table of 0x%x bytes, more than a sector",
                                            image.bytes.size()));
    }
    auto table = esp::ParsePartitionTable(image.bytes, image.offset);
    if (!table.ok()) return Damaged(image, table.status());
    return table;
  }

  // Whether the image is an application.
  absl::StatusOr<bool> CheckInPartition(const ImportedImage& image) {
    const auto partition =
        std::find_if(table_.entries.begin(), table_.entries.end(), [&image](const auto& entry) {
          return entry.offset <= image.offset && image.offset < entry.end();
        });
    if (partition == table_.entries.end()) {
      return Invalid(image, absl::StrFormat("offset 0x%x is in no partition", image.offset));
    }
    if (EndOf(image) > partition->end()) {
      return Invalid(
          image,
          absl::StrFormat("0x%x bytes at 0x%x do not fit partition %s, which ends "
                          "at 0x%x",
                          image.bytes.size(), image.offset, partition->label, partition->end()));
    }
    if (partition->type != esp::kPartitionTypeApp) return false;
    if (image.offset != partition->offset) {
      return Invalid(image, absl::StrFormat("offset 0x%x is not the start of app partition %s at "
                                            "0x%x",
                                            image.offset, partition->label, partition->offset));
    }
    const auto facts = esp::ParseImage(image.bytes);
    if (!facts.ok()) return Damaged(image, facts.status());
    if (facts->header.chip != checked_.chip) {
      return Invalid(image,
                     absl::StrCat("at 0xc: is for ", esp::TraitsOf(facts->header.chip).name,
                                  ", the bootloader for ", esp::TraitsOf(checked_.chip).name));
    }
    if (!checked_.app.has_value()) checked_.app = facts->app;
    return true;
  }

  CheckedFirmware& checked_;
  esp::PartitionTable table_;
};

}  // namespace

absl::StatusOr<CheckedFirmware> CheckFirmware(const ImportedFirmware& firmware,
                                              absl::string_view requested_chip) {
  CheckedFirmware checked;
  checked.images = firmware.images;
  if (checked.images.size() > kMaxImages) {
    return MakeError(ErrorCode::kBundleInvalid,
                     absl::StrCat(checked.images.size(), " images, more than ", kMaxImages));
  }
  std::stable_sort(
      checked.images.begin(), checked.images.end(),
      [](const ImportedImage& a, const ImportedImage& b) { return a.offset < b.offset; });
  // First, so that no more than one flash's worth of bytes is ever hashed.
  RETURN_IF_ERROR(CheckPlaces(checked.images));
  RETURN_IF_ERROR(Checker(checked).Run(firmware, requested_chip));
  return checked;
}

}  // namespace kiln::firmware
