#ifndef KILN_DAEMON_FIRMWARE_IMPORTER_H_
#define KILN_DAEMON_FIRMWARE_IMPORTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/esp/chip.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/firmware/package.h"

namespace kiln::firmware {

// Labels with a meaning; every importer gives them to these two images.
inline constexpr absl::string_view kBootloaderLabel = "bootloader";
inline constexpr absl::string_view kPartitionTableLabel = "partition-table";

// One image as a package has it, not checked yet.
struct ImportedImage {
  std::string label;
  std::string source;               // path in the package, for errors
  uint32_t source_offset = 0;       // where `bytes` starts in that file
  uint32_t offset = 0;              // in flash
  absl::Span<const uint8_t> bytes;  // of the package, or of `made` below
};

// What an importer found in a package. Valid as long as the package.
struct ImportedFirmware {
  std::string source_kind;
  std::string title;
  std::string version;
  std::optional<esp::Chip> chip;  // what the package says; the images have the last word
  std::vector<ImportedImage> images;
  std::map<std::string, std::string> facts;
  // Contents that no file of the package holds.
  std::vector<std::shared_ptr<const std::vector<uint8_t>>> made;
};

// Recognises the kind of `package` and reads it. BundleUnsupported when it is none that Kiln knows,
// BundleInvalid, naming the file, when it is one and does not hold together.
absl::StatusOr<ImportedFirmware> ImportPackage(const Package& package,
                                               const ImportRequest& request);

// The importers, one per kind. Those that search the package themselves answer nullopt when it is
// not theirs.
absl::StatusOr<std::optional<ImportedFirmware>> ImportIdf(const Package& package);
absl::StatusOr<std::optional<ImportedFirmware>> ImportPlatformio(const Package& package);
absl::StatusOr<std::optional<ImportedFirmware>> ImportWebTools(const Package& package,
                                                               std::optional<esp::Chip> wanted);
// `path` is the image in the package; its bootloader tells the chip.
absl::StatusOr<ImportedFirmware> ImportMergedImage(const Package& package, const std::string& path);

// Cuts a flash image that starts at `flash_offset` into bootloader, partition table and every
// partition that is not blank. Data outside of all of them is BundleInvalid. Used for merged images
// in whatever package they come.
absl::StatusOr<std::vector<ImportedImage>> SplitMergedImage(absl::Span<const uint8_t> bytes,
                                                            absl::string_view source,
                                                            uint32_t flash_offset, esp::Chip chip);

// The chip whose bootloader starts in `bytes`, a flash image from `flash_offset` on: its header is
// where the ROM of that very chip looks.
std::optional<esp::Chip> FindBootloaderChip(absl::Span<const uint8_t> bytes, uint32_t flash_offset);

// Gives the bootloader and the partition table their labels when the package named neither: by the
// chip's bootloader offset, by the table's usual place and magic.
void LabelWellKnownImages(ImportedFirmware& firmware);

// Adds a cleaned fact unless it is empty.
void AddFact(ImportedFirmware& firmware, const char* name, absl::string_view value);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_IMPORTER_H_
