#ifndef KILN_DAEMON_ESP_IMAGE_TESTING_IMAGE_BUILDER_H_
#define KILN_DAEMON_ESP_IMAGE_TESTING_IMAGE_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/esp/chip.h"
#include "daemon/esp/image/partition_table.h"

// Makes valid images for any chip: for tests and demonstrations. The same options always give the
// same bytes.

namespace kiln::esp::testing {

struct TestImageOptions {
  Chip chip = Chip::kEsp32;
  // Data over all segments; rounded up to a multiple of 4 per segment.
  size_t payload_bytes = 4096;
  int segments = 2;
  bool append_hash = true;
  bool app_description = false;
  std::string project_name = "kiln-test";
  std::string version = "1.2.3";
  uint32_t seed = 1;  // of the payload
};

std::vector<uint8_t> BuildTestImage(const TestImageOptions& options);

// 0xC00 bytes: the entries, an MD5 entry when wanted, and 0xFF. Checks nothing, so that wrong
// tables can be made.
std::vector<uint8_t> BuildTestPartitionTable(const std::vector<PartitionEntry>& entries,
                                             bool with_md5 = true);

// nvs 0x9000+0x5000, otadata 0xe000+0x2000, app0 (ota_0) 0x10000+0x140000, app1 (ota_1)
// 0x150000+0x140000, storage (spiffs) 0x290000+0x100000: fits 4 MiB.
std::vector<PartitionEntry> TestPartitions();

// Bootloader, table and app that fit together.
struct TestFirmware {
  Chip chip = Chip::kEsp32;
  std::vector<uint8_t> bootloader;       // at TraitsOf(chip).bootloader_offset
  std::vector<uint8_t> partition_table;  // at 0x8000
  std::vector<uint8_t> app;              // at 0x10000
};

TestFirmware BuildTestFirmware(Chip chip, size_t app_bytes = 20000);

// The firmware as one flash image that starts at offset 0, with 0xFF between the parts.
std::vector<uint8_t> MergeTestFirmware(const TestFirmware& firmware);

}  // namespace kiln::esp::testing

#endif  // KILN_DAEMON_ESP_IMAGE_TESTING_IMAGE_BUILDER_H_
