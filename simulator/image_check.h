#ifndef KILN_SIMULATOR_IMAGE_CHECK_H_
#define KILN_SIMULATOR_IMAGE_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "daemon/esp/chip.h"

namespace kiln::simulator {

struct ImageSegment {
  uint32_t load_address;
  uint32_t size;
  size_t data_at;  // in the image
};

// An executable image as its loader sees it.
struct LoadedImage {
  std::vector<ImageSegment> segments;
  uint32_t entry = 0;
  uint32_t size = 0;    // with checksum and digest
  std::string version;  // of an application's description; empty without one
  std::string project;
  std::string problem;  // what the loader would print; empty when the image is good
};

// Checks the image that begins `flash` as the chip does before it jumps there (ESP-IDF programming
// guide, "App image format"): magic, chip id, segments, the exclusive or of all segment bytes
// seeded with EF, and the appended SHA-256. Any input is safe.
LoadedImage CheckImage(esp::Chip chip, absl::Span<const uint8_t> flash);

struct PartitionEntry {
  uint8_t type;
  uint8_t subtype;
  uint32_t offset;
  uint32_t size;
  std::string label;
};
struct PartitionTable {
  std::vector<PartitionEntry> entries;
  std::string problem;  // empty when the table is good
};

// Reads the partition table that begins `flash` ("Partition tables": magic AA 50, the MD5 entry EB
// EB over all entries before it).
PartitionTable ReadPartitionTable(absl::Span<const uint8_t> flash);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_IMAGE_CHECK_H_
