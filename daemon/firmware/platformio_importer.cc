#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
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
#include "daemon/esp/image/image_header.h"
#include "daemon/esp/image/partition_table.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"
#include "daemon/firmware/package_json.h"
#include "errors/error.h"
#include "nlohmann/json.hpp"

// A build folder of PlatformIO, ".pio/build/<environment>": firmware.bin, bootloader.bin and
// partitions.bin, and beside them what the project has besides (docs.platformio.org, "Espressif
// 32", "Uploading files to file system", "Partition Tables").

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using nlohmann::json;

// ".pio/build/<environment>/firmware.bin" below the project's and an archive's own folder.
constexpr int kMaxDepth = 5;

absl::Status Invalid(absl::string_view detail) {
  return MakeError(ErrorCode::kBundleInvalid, detail);
}

// What idedata.json adds: where the application goes, and further images. Its paths are those of
// the developer's machine; only their last parts mean something here.
struct IdeData {
  std::optional<uint32_t> application_offset;
  std::map<std::string, uint32_t> images;  // file name to offset
};

absl::StatusOr<IdeData> ReadIdeData(const Package& package, absl::string_view folder) {
  IdeData data;
  const std::string path = JoinPath(folder, "idedata.json");
  const auto content = package.Find(path);
  if (!content.has_value()) return data;
  const std::string shown = CleanText(path);
  ASSIGN_OR_RETURN(const json root, ParseJsonObject(*content, shown));
  const json* extra = FindObject(root, "extra");
  if (extra == nullptr) return data;
  if (const std::string text = FindText(*extra, "application_offset"); !text.empty()) {
    ASSIGN_OR_RETURN(data.application_offset, ParseOffsetText(text, shown, "application_offset"));
  }
  const json* images = FindArray(*extra, "flash_images");
  if (images == nullptr) return data;
  for (const json& image : *images) {
    const std::string name = BaseName(FindText(image, "path"));
    if (name.empty() || !image.contains("offset")) {
      return Invalid(absl::StrCat(shown, ": a flash image without path or offset"));
    }
    ASSIGN_OR_RETURN(data.images[name],
                     ParseOffset(image["offset"], shown, "a flash image's offset"));
  }
  return data;
}

const esp::PartitionEntry* FirstWhere(const esp::PartitionTable& table,
                                      bool (*matches)(const esp::PartitionEntry&)) {
  const esp::PartitionEntry* first = nullptr;
  for (const esp::PartitionEntry& entry : table.entries) {
    if (matches(entry) && (first == nullptr || entry.offset < first->offset)) first = &entry;
  }
  return first;
}

// Collects the images of one build folder.
class Importer {
 public:
  Importer(const Package& package, std::string folder)
      : package_(package), folder_(std::move(folder)) {
    firmware_.source_kind = "platformio";
    AddFact(firmware_, "environment", BaseName(folder_));
  }

  absl::StatusOr<ImportedFirmware> Run() {
    ASSIGN_OR_RETURN(const IdeData ide_data, ReadIdeData(package_, folder_));
    RETURN_IF_ERROR(AddBootloader());
    ASSIGN_OR_RETURN(const esp::PartitionTable table, AddTable(ide_data));
    AddOtaData(table);
    RETURN_IF_ERROR(AddApplication(ide_data, table));
    RETURN_IF_ERROR(AddFileSystem(table));
    RETURN_IF_ERROR(AddExtras(ide_data));
    return std::move(firmware_);
  }

 private:
  bool Has(absl::string_view name) const {
    return package_.Find(JoinPath(folder_, name)).has_value();
  }

  absl::Status Add(absl::string_view label, absl::string_view name, uint32_t offset) {
    const std::string path = JoinPath(folder_, name);
    const auto content = package_.Find(path);
    if (!content.has_value()) {
      return Invalid(absl::StrCat(CleanText(path), ": missing in the PlatformIO build"));
    }
    firmware_.images.push_back({.label = std::string(label),
                                .source = CleanText(path),
                                .offset = offset,
                                .bytes = base::AsBytes(*content)});
    added_.push_back(std::string(name));
    return absl::OkStatus();
  }

  absl::Status AddBootloader() {
    RETURN_IF_ERROR(Add(kBootloaderLabel, "bootloader.bin", 0));
    ImportedImage& image = firmware_.images.back();
    const auto header = esp::ParseImageHeader(image.bytes);
    if (!header.ok()) {
      return Invalid(absl::StrCat(image.source, " ", header.status().message()));
    }
    firmware_.chip = header->chip;
    image.offset = esp::TraitsOf(header->chip).bootloader_offset;
    return absl::OkStatus();
  }

  absl::StatusOr<esp::PartitionTable> AddTable(const IdeData& ide_data) {
    const auto placed = ide_data.images.find("partitions.bin");
    const uint32_t offset =
        placed != ide_data.images.end() ? placed->second : esp::kDefaultPartitionTableOffset;
    RETURN_IF_ERROR(Add(kPartitionTableLabel, "partitions.bin", offset));
    const ImportedImage& image = firmware_.images.back();
    auto table = esp::ParsePartitionTable(image.bytes, offset);
    if (!table.ok()) return Invalid(absl::StrCat(image.source, " ", table.status().message()));
    return *std::move(table);
  }

  // Makes the board start the application written here, whatever it started before: by Arduino's
  // boot_app0.bin, or by blank OTA data, which means the first application.
  void AddOtaData(const esp::PartitionTable& table) {
    added_.push_back("boot_app0.bin");
    const esp::PartitionEntry* partition = FirstWhere(table, [](const esp::PartitionEntry& entry) {
      return entry.type == esp::kPartitionTypeData &&
             entry.subtype == esp::kPartitionSubtypeOtaData;
    });
    if (partition == nullptr) return;
    if (Has("boot_app0.bin")) {
      Add(partition->label, "boot_app0.bin", partition->offset).IgnoreError();  // it is there
      return;
    }
    // The bootloader reads two sectors: ESP-IDF, "Over The Air Updates", "OTA Data Partition".
    const size_t size = std::min<uint32_t>(partition->size, 0x2000);
    firmware_.made.push_back(std::make_shared<const std::vector<uint8_t>>(size, 0xFF));
    firmware_.images.push_back({.label = partition->label,
                                .source = "blank OTA data",
                                .offset = partition->offset,
                                .bytes = *firmware_.made.back()});
  }

  absl::Status AddApplication(const IdeData& ide_data, const esp::PartitionTable& table) {
    const esp::PartitionEntry* partition = FirstWhere(table, [](const esp::PartitionEntry& entry) {
      return entry.type == esp::kPartitionTypeApp && entry.subtype != esp::kPartitionSubtypeTest;
    });
    if (partition == nullptr && !ide_data.application_offset.has_value()) {
      return Invalid(absl::StrCat(CleanText(JoinPath(folder_, "partitions.bin")),
                                  ": no app partition for firmware.bin"));
    }
    return Add(
        "app", "firmware.bin",
        ide_data.application_offset.has_value() ? *ide_data.application_offset : partition->offset);
  }

  absl::Status AddFileSystem(const esp::PartitionTable& table) {
    const esp::PartitionEntry* partition = FirstWhere(table, [](const esp::PartitionEntry& entry) {
      return entry.type == esp::kPartitionTypeData &&
             (entry.subtype == esp::kPartitionSubtypeSpiffs ||
              entry.subtype == esp::kPartitionSubtypeLittleFs ||
              entry.subtype == esp::kPartitionSubtypeFat);
    });
    for (const char* name : {"littlefs.bin", "spiffs.bin", "fatfs.bin"}) {
      if (!Has(name)) continue;
      if (partition == nullptr) {
        return Invalid(absl::StrCat(CleanText(JoinPath(folder_, name)),
                                    ": the partition table has no file system partition"));
      }
      RETURN_IF_ERROR(Add(partition->label, name, partition->offset));
    }
    return absl::OkStatus();
  }

  absl::Status AddExtras(const IdeData& ide_data) {
    for (const auto& [name, offset] : ide_data.images) {
      if (std::find(added_.begin(), added_.end(), name) != added_.end()) continue;
      // Older Arduino cores name the bootloader by flash mode and rate; bootloader.bin took its
      // place.
      if (offset == esp::TraitsOf(*firmware_.chip).bootloader_offset) continue;
      RETURN_IF_ERROR(Add(CleanText(name, 40), name, offset)) << "idedata.json names a flash image";
    }
    return absl::OkStatus();
  }

  const Package& package_;
  const std::string folder_;
  ImportedFirmware firmware_;
  std::vector<std::string> added_;
};

}  // namespace

absl::StatusOr<std::optional<ImportedFirmware>> ImportPlatformio(const Package& package) {
  std::vector<std::string> folders;
  for (const std::string& path : package.FindByName("firmware.bin", kMaxDepth)) {
    const std::string folder = FolderOf(path);
    if (package.Find(JoinPath(folder, "bootloader.bin")).has_value() ||
        package.Find(JoinPath(folder, "partitions.bin")).has_value()) {
      folders.push_back(folder);
    }
  }
  if (folders.empty()) return std::nullopt;
  if (folders.size() > 1) {
    return Invalid(absl::StrCat("several PlatformIO environments, import one of: ",
                                CleanText(absl::StrJoin(folders, ", "))));
  }
  ASSIGN_OR_RETURN(ImportedFirmware firmware, Importer(package, folders[0]).Run());
  return firmware;
}

}  // namespace kiln::firmware
