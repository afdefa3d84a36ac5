#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/partition_table.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"
#include "daemon/firmware/package_json.h"
#include "errors/error.h"
#include "nlohmann/json.hpp"

// The manifest of ESP Web Tools: esphome.github.io/esp-web-tools, "Creating your manifest". One
// manifest may hold builds for several chips.

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using nlohmann::json;

constexpr size_t kMaxBuilds = 64;

struct Build {
  esp::Chip chip;
  const json* value;
};

absl::StatusOr<Build> ChooseBuild(const json& builds, std::optional<esp::Chip> wanted,
                                  absl::string_view file) {
  if (builds.size() > kMaxBuilds) {
    return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(file, ": ", builds.size(), " builds"));
  }
  std::vector<Build> candidates;
  std::vector<std::string> families;
  for (const json& build : builds) {
    const std::string family = FindText(build, "chipFamily");
    families.push_back(CleanText(family, 40));
    const std::optional<esp::Chip> chip = esp::ParseChip(family);
    if (!chip.has_value()) continue;  // an ESP8266 build, for example
    if (!wanted.has_value() || *chip == *wanted) candidates.push_back({*chip, &build});
  }
  if (candidates.size() == 1) return candidates[0];
  const std::string listed = absl::StrJoin(families, ", ");
  if (candidates.empty()) {
    return MakeError(ErrorCode::kBundleUnsupported,
                     absl::StrCat(file, ": no build for ",
                                  wanted.has_value() ? esp::TraitsOf(*wanted).name
                                                     : absl::string_view("a supported chip"),
                                  "; there are: ", listed));
  }
  return MakeError(ErrorCode::kBundleInvalid,
                   absl::StrCat(file, ": several builds, name the chip: ", listed));
}

// One image for the whole flash, as many projects publish it.
bool IsMergedImage(const ImportedImage& image, esp::Chip chip) {
  const uint32_t table = esp::kDefaultPartitionTableOffset;
  return image.offset <= esp::TraitsOf(chip).bootloader_offset &&
         uint64_t{image.offset} + image.bytes.size() > table &&
         esp::LooksLikePartitionTable(image.bytes.subspan(table - image.offset));
}

}  // namespace

absl::StatusOr<std::optional<ImportedFirmware>> ImportWebTools(const Package& package,
                                                               std::optional<esp::Chip> wanted) {
  const std::vector<std::string> found = package.FindByName("manifest.json", 3);
  if (found.empty()) return std::nullopt;
  if (found.size() > 1) {
    return MakeError(ErrorCode::kBundleInvalid,
                     absl::StrCat("two manifests in one package: ", CleanText(found[0]), " and ",
                                  CleanText(found[1])));
  }
  const std::string& path = found[0];
  const std::string shown = CleanText(path);
  ASSIGN_OR_RETURN(const json manifest, ParseJsonObject(*package.Find(path), shown));
  if (!manifest.contains("builds")) return std::nullopt;  // some other tool's manifest
  const json* builds = FindArray(manifest, "builds");
  if (builds == nullptr) {
    return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(shown, ": builds is no list"));
  }
  ASSIGN_OR_RETURN(const Build build, ChooseBuild(*builds, wanted, shown));

  ImportedFirmware firmware;
  firmware.source_kind = "esp-web-tools";
  firmware.title = FindText(manifest, "name");
  firmware.version = FindText(manifest, "version");
  firmware.chip = build.chip;
  AddFact(firmware, "home_assistant_domain", FindText(manifest, "home_assistant_domain"));
  const json* parts = FindArray(*build.value, "parts");
  if (parts == nullptr || parts->empty()) {
    return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(shown, ": the build has no parts"));
  }
  const std::string folder = FolderOf(path);
  for (const json& part : *parts) {
    const json* offset = part.is_object() && part.contains("offset") ? &part["offset"] : nullptr;
    if (offset == nullptr) {
      return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(shown, ": a part has no offset"));
    }
    ImportedImage image;
    ASSIGN_OR_RETURN(image.offset, ParseOffset(*offset, shown, "a part's offset"));
    ASSIGN_OR_RETURN(const std::string resolved,
                     package.Resolve(folder, FindText(part, "path"), shown));
    image.label = CleanText(BaseName(resolved), 40);
    image.source = CleanText(resolved);
    image.bytes = base::AsBytes(*package.Find(resolved));
    if (IsMergedImage(image, build.chip)) {
      ASSIGN_OR_RETURN(std::vector<ImportedImage> pieces,
                       SplitMergedImage(image.bytes, image.source, image.offset, build.chip));
      for (ImportedImage& piece : pieces) firmware.images.push_back(std::move(piece));
    } else {
      firmware.images.push_back(std::move(image));
    }
  }
  LabelWellKnownImages(firmware);
  return firmware;
}

}  // namespace kiln::firmware
