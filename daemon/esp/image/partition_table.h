#ifndef KILN_DAEMON_ESP_IMAGE_PARTITION_TABLE_H_
#define KILN_DAEMON_ESP_IMAGE_PARTITION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

// The binary partition table. Source: ESP-IDF Programming Guide, "Partition Tables".

namespace kiln::esp {

// The part that may hold entries, and the flash sector it lies in.
inline constexpr size_t kPartitionTableBytes = 0xC00;
inline constexpr uint32_t kPartitionTableSectorBytes = 0x1000;
inline constexpr uint32_t kDefaultPartitionTableOffset = 0x8000;
// The largest flash that Kiln writes to.
inline constexpr uint32_t kMaxFlashBytes = uint32_t{32} << 20;

inline constexpr uint8_t kPartitionTypeApp = 0;
inline constexpr uint8_t kPartitionTypeData = 1;
inline constexpr uint8_t kPartitionTypeBootloader = 2;
inline constexpr uint8_t kPartitionTypePartitionTable = 3;
// Subtypes of data partitions.
inline constexpr uint8_t kPartitionSubtypeOtaData = 0x00;
inline constexpr uint8_t kPartitionSubtypeNvs = 0x02;
inline constexpr uint8_t kPartitionSubtypeFat = 0x81;
inline constexpr uint8_t kPartitionSubtypeSpiffs = 0x82;
inline constexpr uint8_t kPartitionSubtypeLittleFs = 0x83;
// Subtype of app partitions that only a test fixture starts.
inline constexpr uint8_t kPartitionSubtypeTest = 0x20;
// Flags.
inline constexpr uint32_t kPartitionFlagEncrypted = 1;
inline constexpr uint32_t kPartitionFlagReadOnly = 2;

struct PartitionEntry {
  // At most 16 characters of [A-Za-z0-9._-]; anything else in the table reads as '_'.
  std::string label;
  uint8_t type = 0;
  uint8_t subtype = 0;
  uint32_t offset = 0;
  uint32_t size = 0;
  uint32_t flags = 0;

  uint64_t end() const { return uint64_t{offset} + size; }
};

struct PartitionTable {
  std::vector<PartitionEntry> entries;  // in the table's order
  bool has_md5 = false;
};

// Reads a table that lies at `table_offset` in flash. At least one entry; every partition inside
// `flash_bytes`, behind the table (bootloader and table entries excepted), aligned (64 KiB for
// apps, 4 KiB otherwise), without overlap and under its own label; the MD5, where there is one,
// matches. INVALID_ARGUMENT names the offset from the start of `bytes`. Safe on hostile bytes.
absl::StatusOr<PartitionTable> ParsePartitionTable(
    absl::Span<const uint8_t> bytes, uint32_t table_offset = kDefaultPartitionTableOffset,
    uint32_t flash_bytes = kMaxFlashBytes);

// Whether `bytes` starts with the magic of a table's first entry.
bool LooksLikePartitionTable(absl::Span<const uint8_t> bytes);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_IMAGE_PARTITION_TABLE_H_
