#include "daemon/esp/image/partition_table.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "base/status_macros.h"

namespace kiln::esp {
namespace {

using ::kiln::base::LoadLe16;
using ::kiln::base::LoadLe32;

constexpr size_t kEntryBytes = 32;
constexpr uint16_t kEntryMagic = 0x50AA;  // the bytes AA 50
constexpr uint16_t kMd5Magic = 0xEBEB;
constexpr size_t kMd5Offset = 16;
constexpr size_t kLabelOffset = 12;
constexpr size_t kLabelBytes = 16;
// "Partition Tables", "Offset & Size".
constexpr uint32_t kAppAlignment = 0x10000;
constexpr uint32_t kSectorBytes = 0x1000;

template <typename... Args>
absl::Status BadAt(size_t offset, const absl::FormatSpec<Args...>& format, const Args&... args) {
  return absl::InvalidArgumentError(
      absl::StrFormat("at 0x%x: %s", offset, absl::StrFormat(format, args...)));
}

bool AllFf(absl::Span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0xFF; });
}

std::string CleanLabel(absl::Span<const uint8_t> field) {
  std::string label;
  for (const uint8_t byte : field) {
    if (byte == 0) break;
    const bool plain = absl::ascii_isalnum(byte) || byte == '.' || byte == '_' || byte == '-';
    label += plain ? static_cast<char>(byte) : '_';
  }
  return label;
}

absl::Status CheckEntry(const PartitionEntry& entry, size_t at, uint32_t table_offset,
                        uint32_t flash_bytes) {
  const uint32_t alignment = entry.type == kPartitionTypeApp ? kAppAlignment : kSectorBytes;
  if (entry.offset % alignment != 0) {
    return BadAt(at, "partition %s at 0x%x is not aligned to 0x%x", entry.label, entry.offset,
                 alignment);
  }
  if (entry.size == 0) return BadAt(at, "partition %s is empty", entry.label);
  // Read-only partitions alone may end inside a sector.
  if (entry.size % kSectorBytes != 0 && (entry.flags & kPartitionFlagReadOnly) == 0) {
    return BadAt(at, "partition %s has 0x%x bytes, not a multiple of 0x1000", entry.label,
                 entry.size);
  }
  if (entry.end() > flash_bytes) {
    return BadAt(at, "partition %s ends at 0x%x, the flash at 0x%x", entry.label, entry.end(),
                 flash_bytes);
  }
  const bool before_table_is_fine =
      entry.type == kPartitionTypeBootloader || entry.type == kPartitionTypePartitionTable;
  if (!before_table_is_fine && entry.offset < table_offset + kPartitionTableSectorBytes) {
    return BadAt(at, "partition %s at 0x%x is not behind the partition table at 0x%x", entry.label,
                 entry.offset, table_offset);
  }
  return absl::OkStatus();
}

absl::Status CheckOverlap(const PartitionTable& table) {
  std::vector<const PartitionEntry*> sorted;
  sorted.reserve(table.entries.size());
  for (const PartitionEntry& entry : table.entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const PartitionEntry* a, const PartitionEntry* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i - 1]->end() > sorted[i]->offset) {
      const size_t at = static_cast<size_t>(sorted[i] - table.entries.data()) * kEntryBytes;
      return BadAt(at, "partition %s at 0x%x overlaps %s, which ends at 0x%x", sorted[i]->label,
                   sorted[i]->offset, sorted[i - 1]->label, sorted[i - 1]->end());
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool LooksLikePartitionTable(absl::Span<const uint8_t> bytes) {
  return bytes.size() >= kEntryBytes && LoadLe16(bytes.data()) == kEntryMagic;
}

absl::StatusOr<PartitionTable> ParsePartitionTable(absl::Span<const uint8_t> bytes,
                                                   uint32_t table_offset, uint32_t flash_bytes) {
  const absl::Span<const uint8_t> table_bytes =
      bytes.first(std::min(bytes.size(), kPartitionTableBytes));
  PartitionTable table;
  std::set<std::string> labels;
  for (size_t at = 0;; at += kEntryBytes) {
    if (at == kPartitionTableBytes) {
      return BadAt(at, "the partition table does not end within 0x%x bytes", kPartitionTableBytes);
    }
    if (table_bytes.size() - at < kEntryBytes) {
      return BadAt(table_bytes.size(), "the partition table is cut off");
    }
    const absl::Span<const uint8_t> raw = table_bytes.subspan(at, kEntryBytes);
    if (AllFf(raw)) break;
    if (LoadLe16(raw.data()) == kMd5Magic) {
      if (table.has_md5) return BadAt(at, "the partition table has a second MD5");
      if (!AllFf(raw.subspan(2, kMd5Offset - 2))) return BadAt(at + 2, "the MD5 entry is damaged");
      const base::Md5Digest digest = base::Md5(table_bytes.first(at));
      if (!std::equal(digest.begin(), digest.end(), &raw[kMd5Offset])) {
        return BadAt(at + kMd5Offset, "the MD5 does not match the partition table");
      }
      table.has_md5 = true;
      continue;
    }
    if (LoadLe16(raw.data()) != kEntryMagic) {
      return BadAt(at, "no partition entry starts here: found %02x %02x instead of aa 50", raw[0],
                   raw[1]);
    }
    if (table.has_md5) return BadAt(at, "a partition entry follows the MD5");
    PartitionEntry entry;
    entry.type = raw[2];
    entry.subtype = raw[3];
    entry.offset = LoadLe32(&raw[4]);
    entry.size = LoadLe32(&raw[8]);
    entry.label = CleanLabel(raw.subspan(kLabelOffset, kLabelBytes));
    entry.flags = LoadLe32(&raw[28]);
    RETURN_IF_ERROR(CheckEntry(entry, at, table_offset, flash_bytes));
    if (!labels.insert(entry.label).second) {
      return BadAt(at + kLabelOffset, "two partitions are called \"%s\"", entry.label);
    }
    table.entries.push_back(std::move(entry));
  }
  if (table.entries.empty()) return BadAt(0, "the partition table is empty");
  RETURN_IF_ERROR(CheckOverlap(table));
  return table;
}

}  // namespace kiln::esp
