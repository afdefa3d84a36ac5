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
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/image_header.h"
#include "daemon/esp/image/partition_table.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"
#include "errors/error.h"

// One image of the whole flash, as "esptool merge-bin" makes it: the gaps are 0xFF.

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using Bytes = absl::Span<const uint8_t>;

// Length of `bytes` without the 0xFF at its end.
size_t UsedLength(Bytes bytes) {
  const auto last = std::find_if(bytes.rbegin(), bytes.rend(), [](uint8_t b) { return b != 0xFF; });
  return static_cast<size_t>(bytes.rend() - last);
}

// Cuts pieces out of an image of the flash and remembers what nobody asked for.
class Cutter {
 public:
  Cutter(Bytes bytes, absl::string_view source, uint32_t flash_offset)
      : bytes_(bytes), source_(source), flash_offset_(flash_offset) {}

  // What the image has of the flash from `begin` to `end`; may be empty.
  Bytes View(uint64_t begin, uint64_t end) const {
    const uint64_t image_end = flash_offset_ + bytes_.size();
    const uint64_t from = std::min<uint64_t>(std::max<uint64_t>(begin, flash_offset_), image_end);
    const uint64_t to = std::max(from, std::min(end, image_end));
    return bytes_.subspan(from - flash_offset_, to - from);
  }

  // Keeps the first `length` bytes of View(begin, end) as an image and marks all of it as known.
  void Keep(std::string label, uint32_t begin, uint64_t end, size_t length) {
    known_.emplace_back(begin, end);
    if (length == 0) return;
    pieces_.push_back({.label = std::move(label),
                       .source = std::string(source_),
                       .source_offset = static_cast<uint32_t>(begin - flash_offset_),
                       .offset = begin,
                       .bytes = View(begin, end).first(length)});
  }

  // The pieces, unless something lies between them; zeros and 0xFF are only filling.
  absl::StatusOr<std::vector<ImportedImage>> Finish() {
    std::sort(known_.begin(), known_.end());
    known_.emplace_back(flash_offset_ + bytes_.size(), 0);
    uint64_t at = flash_offset_;
    for (const auto& [begin, end] : known_) {
      for (; at < begin; ++at) {
        const uint8_t byte = bytes_[at - flash_offset_];
        if (byte == 0xFF || byte == 0x00) continue;
        return MakeError(ErrorCode::kBundleInvalid,
                         absl::StrCat(source_, " at 0x", absl::Hex(at - flash_offset_),
                                      ": data outside of every partition"));
      }
      at = std::max(at, end);
    }
    return std::move(pieces_);
  }

 private:
  const Bytes bytes_;
  const absl::string_view source_;
  const uint64_t flash_offset_;
  std::vector<ImportedImage> pieces_;
  std::vector<std::pair<uint64_t, uint64_t>> known_;
};

}  // namespace

absl::StatusOr<std::vector<ImportedImage>> SplitMergedImage(Bytes bytes, absl::string_view source,
                                                            uint32_t flash_offset, esp::Chip chip) {
  const uint32_t bootloader = esp::TraitsOf(chip).bootloader_offset;
  const uint32_t table = esp::kDefaultPartitionTableOffset;
  const uint64_t image_end = uint64_t{flash_offset} + bytes.size();
  const auto invalid_at = [&](uint64_t flash_address, absl::string_view what) {
    return MakeError(
        ErrorCode::kBundleInvalid,
        absl::StrCat(source, " at 0x", absl::Hex(flash_address - flash_offset), ": ", what));
  };
  if (image_end > esp::kMaxFlashBytes) {
    return invalid_at(esp::kMaxFlashBytes, "larger than the largest flash");
  }
  if (flash_offset > bootloader || image_end <= table) {
    return invalid_at(image_end, absl::StrCat("no partition table at 0x", absl::Hex(table),
                                              "; a merged image starts with the bootloader and "
                                              "holds everything that is flashed"));
  }
  Cutter cutter(bytes, source, flash_offset);

  const Bytes bootloader_bytes = cutter.View(bootloader, table);
  const auto bootloader_facts = esp::ParseImage(bootloader_bytes);
  if (!bootloader_facts.ok()) {
    return invalid_at(bootloader,
                      absl::StrCat("bootloader: ", bootloader_facts.status().message()));
  }
  // A signature may follow the image.
  cutter.Keep(std::string(kBootloaderLabel), bootloader, table,
              std::max<size_t>(bootloader_facts->total_bytes, UsedLength(bootloader_bytes)));

  const uint32_t table_end = table + esp::kPartitionTableSectorBytes;
  const Bytes table_bytes = cutter.View(table, table_end);
  const auto parsed = esp::ParsePartitionTable(table_bytes, table);
  if (!parsed.ok()) {
    return invalid_at(table, absl::StrCat("partition table: ", parsed.status().message()));
  }
  // 0xC00 bytes, as the build makes it, unless a signature follows.
  const size_t table_length = std::max(UsedLength(table_bytes), esp::kPartitionTableBytes);
  cutter.Keep(std::string(kPartitionTableLabel), table, table_end,
              std::min(table_length, table_bytes.size()));

  for (const esp::PartitionEntry& partition : parsed->entries) {
    if (partition.offset < table_end) continue;  // entries for the bootloader and the table itself
    const Bytes content = cutter.View(partition.offset, partition.end());
    const size_t used = UsedLength(content);
    size_t length = used;
    if (used > 0 && partition.type == esp::kPartitionTypeApp) {
      const auto facts = esp::ParseImage(content);
      if (facts.ok()) length = std::max<size_t>(used, facts->total_bytes);
    } else if (used > 0) {
      length = content.size();  // what is blank in it is blank on purpose
    }
    cutter.Keep(partition.label, partition.offset, partition.end(), length);
  }
  return cutter.Finish();
}

absl::StatusOr<ImportedFirmware> ImportMergedImage(const Package& package,
                                                   const std::string& path) {
  const std::string shown = CleanText(path);
  const Bytes bytes = base::AsBytes(*package.Find(path));
  ImportedFirmware firmware;
  firmware.source_kind = "merged-image";
  firmware.chip = FindBootloaderChip(bytes, 0);
  if (!firmware.chip.has_value()) {
    return MakeError(ErrorCode::kBundleUnsupported,
                     absl::StrCat(shown,
                                  ": no bootloader at 0x0, 0x1000 or 0x2000, so it is no "
                                  "merged image"));
  }
  ASSIGN_OR_RETURN(firmware.images, SplitMergedImage(bytes, shown, 0, *firmware.chip));
  return firmware;
}

}  // namespace kiln::firmware
