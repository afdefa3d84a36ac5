#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"
#include "daemon/firmware/package_json.h"
#include "errors/error.h"
#include "nlohmann/json.hpp"

// A build folder of ESP-IDF. Its build writes flasher_args.json for other flashing tools: ESP-IDF
// Programming Guide, "Build System", "Flash Arguments".

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using nlohmann::json;

constexpr absl::string_view kArgumentsFile = "flasher_args.json";
constexpr absl::string_view kDescriptionFile = "project_description.json";

// The members that describe one image each, "app": {"offset": …, "file": …}, give the labels.
std::map<std::string, std::string> LabelsByFile(const json& arguments) {
  std::map<std::string, std::string> labels;
  for (const auto& [name, section] : arguments.items()) {
    const std::string file = FindText(section, "file");
    if (file.empty()) continue;
    const std::string label = name == "partition_table" ? "partition-table" : name;
    labels.emplace(file, CleanText(label, 40));
  }
  return labels;
}

absl::Status AddProjectFacts(const Package& package, absl::string_view folder,
                             ImportedFirmware& firmware) {
  const std::string path = JoinPath(folder, kDescriptionFile);
  const auto content = package.Find(path);
  if (!content.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const json description, ParseJsonObject(*content, path));
  firmware.title = FindText(description, "project_name");
  firmware.version = FindText(description, "project_version");
  AddFact(firmware, "project_name", firmware.title);
  AddFact(firmware, "project_version", firmware.version);
  AddFact(firmware, "idf_revision", FindText(description, "git_revision"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<ImportedFirmware>> ImportIdf(const Package& package) {
  const std::vector<std::string> found = package.FindByName(kArgumentsFile, 1);
  if (found.empty()) return std::nullopt;
  if (found.size() > 1) {
    return MakeError(ErrorCode::kBundleInvalid,
                     absl::StrCat("two builds in one package: ", CleanText(found[0]), " and ",
                                  CleanText(found[1])));
  }
  const std::string& path = found[0];
  const std::string shown = CleanText(path);
  const std::string folder = FolderOf(path);
  // PlatformIO runs ESP-IDF's build, which leaves this file behind, but names the images its way.
  if (package.Find(JoinPath(folder, "firmware.bin")).has_value() &&
      package.Find(JoinPath(folder, "partitions.bin")).has_value()) {
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const json arguments, ParseJsonObject(*package.Find(path), shown));
  ImportedFirmware firmware;
  firmware.source_kind = "esp-idf";
  if (const json* extra = FindObject(arguments, "extra_esptool_args"); extra != nullptr) {
    const std::string chip = FindText(*extra, "chip");
    firmware.chip = esp::ParseChip(chip);
    if (!chip.empty() && !firmware.chip.has_value()) {
      return MakeError(ErrorCode::kBundleUnsupported,
                       absl::StrCat(shown, ": chip \"", CleanText(chip, 40), "\""));
    }
  }
  const json* files = FindObject(arguments, "flash_files");
  if (files == nullptr || files->empty()) {
    return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(shown, ": no flash_files"));
  }
  const std::map<std::string, std::string> labels = LabelsByFile(arguments);
  for (const auto& [offset_text, file] : files->items()) {
    ImportedImage image;
    ASSIGN_OR_RETURN(image.offset, ParseOffsetText(offset_text, shown, "flash_files"));
    if (!file.is_string()) {
      return MakeError(ErrorCode::kBundleInvalid,
                       absl::StrCat(shown, ": flash_files at ", image.offset, " names no file"));
    }
    const auto& name = file.get_ref<const std::string&>();
    ASSIGN_OR_RETURN(const std::string resolved, package.Resolve(folder, name, shown));
    const auto label = labels.find(name);
    image.label = label != labels.end() ? label->second : CleanText(BaseName(name), 40);
    image.source = CleanText(resolved);
    image.bytes = base::AsBytes(*package.Find(resolved));
    firmware.images.push_back(std::move(image));
  }
  LabelWellKnownImages(firmware);
  if (const json* settings = FindObject(arguments, "flash_settings"); settings != nullptr) {
    for (const char* key : {"flash_mode", "flash_size", "flash_freq"}) {
      AddFact(firmware, key, FindText(*settings, key));
    }
  }
  RETURN_IF_ERROR(AddProjectFacts(package, folder, firmware));
  return firmware;
}

}  // namespace kiln::firmware
