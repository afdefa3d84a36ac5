#include "daemon/esp/image/testing/image_builder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/little_endian.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/partition_table.h"

namespace kiln::esp::testing {
namespace {

void CopyText(const std::string& text, size_t field_bytes, uint8_t* field) {
  std::copy_n(text.begin(), std::min(text.size(), field_bytes - 1), field);
}

std::vector<uint8_t> AppDescriptionBytes(const TestImageOptions& options) {
  std::vector<uint8_t> bytes(256, 0);
  base::StoreLe32(bytes.data(), 0xABCD5432);
  CopyText(options.version, 32, &bytes[16]);
  CopyText(options.project_name, 32, &bytes[48]);
  CopyText("12:34:56", 16, &bytes[80]);
  CopyText("Nov 21 2026", 16, &bytes[96]);
  CopyText("v5.3.1", 32, &bytes[112]);
  return bytes;
}

// xorshift32: any reproducible noise will do.
uint8_t NextNoise(uint32_t& state) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return static_cast<uint8_t>(state >> 24);
}

}  // namespace

std::vector<uint8_t> BuildTestImage(const TestImageOptions& options) {
  std::vector<uint8_t> image(24, 0);
  image[0] = 0xE9;
  image[1] = static_cast<uint8_t>(options.segments);
  image[2] = 2;     // DIO
  image[3] = 0x20;  // 4 MiB
  base::StoreLe32(&image[4], 0x40080000);
  image[8] = 0xEE;  // WP pin not used
  base::StoreLe16(&image[12], TraitsOf(options.chip).image_chip_id);
  base::StoreLe16(&image[17], 0xFFFF);
  image[23] = options.append_hash ? 1 : 0;
  uint32_t noise = options.seed == 0 ? 1 : options.seed;
  uint8_t checksum = 0xEF;
  for (int segment = 0; segment < options.segments; ++segment) {
    std::vector<uint8_t> data;
    if (segment == 0 && options.app_description) data = AppDescriptionBytes(options);
    size_t wanted = options.payload_bytes / static_cast<size_t>(options.segments);
    wanted = std::max(data.size(), (wanted + 3) / 4 * 4);
    while (data.size() < wanted) data.push_back(NextNoise(noise));
    base::AppendLe<uint32_t>(image, 0x40080000 + static_cast<uint32_t>(segment) * 0x10000);
    base::AppendLe<uint32_t>(image, static_cast<uint32_t>(data.size()));
    image.insert(image.end(), data.begin(), data.end());
    for (const uint8_t byte : data) checksum ^= byte;
  }
  image.resize((image.size() / 16 + 1) * 16, 0);
  image.back() = checksum;
  if (options.append_hash) {
    const base::Sha256Digest digest = base::Sha256(image);
    image.insert(image.end(), digest.begin(), digest.end());
  }
  return image;
}

std::vector<uint8_t> BuildTestPartitionTable(const std::vector<PartitionEntry>& entries,
                                             bool with_md5) {
  std::vector<uint8_t> table;
  for (const PartitionEntry& entry : entries) {
    std::vector<uint8_t> raw(32, 0);
    raw[0] = 0xAA;
    raw[1] = 0x50;
    raw[2] = entry.type;
    raw[3] = entry.subtype;
    base::StoreLe32(&raw[4], entry.offset);
    base::StoreLe32(&raw[8], entry.size);
    std::copy_n(entry.label.begin(), std::min<size_t>(entry.label.size(), 16), &raw[12]);
    base::StoreLe32(&raw[28], entry.flags);
    table.insert(table.end(), raw.begin(), raw.end());
  }
  if (with_md5) {
    const base::Md5Digest digest = base::Md5(table);
    table.insert(table.end(), 2, 0xEB);
    table.insert(table.end(), 14, 0xFF);
    table.insert(table.end(), digest.begin(), digest.end());
  }
  table.resize(std::max(table.size(), kPartitionTableBytes), 0xFF);
  return table;
}

std::vector<PartitionEntry> TestPartitions() {
  return {
      {"nvs", kPartitionTypeData, kPartitionSubtypeNvs, 0x9000, 0x5000, 0},
      {"otadata", kPartitionTypeData, kPartitionSubtypeOtaData, 0xe000, 0x2000, 0},
      {"app0", kPartitionTypeApp, 0x10, 0x10000, 0x140000, 0},
      {"app1", kPartitionTypeApp, 0x11, 0x150000, 0x140000, 0},
      {"storage", kPartitionTypeData, kPartitionSubtypeSpiffs, 0x290000, 0x100000, 0},
  };
}

TestFirmware BuildTestFirmware(Chip chip, size_t app_bytes) {
  TestFirmware firmware;
  firmware.chip = chip;
  firmware.bootloader =
      BuildTestImage({.chip = chip, .payload_bytes = 8000, .segments = 3, .seed = 7});
  firmware.partition_table = BuildTestPartitionTable(TestPartitions());
  firmware.app = BuildTestImage({.chip = chip,
                                 .payload_bytes = app_bytes,
                                 .segments = 4,
                                 .app_description = true,
                                 .seed = 11});
  return firmware;
}

std::vector<uint8_t> MergeTestFirmware(const TestFirmware& firmware) {
  std::vector<uint8_t> merged(0x10000 + firmware.app.size(), 0xFF);
  std::copy(firmware.bootloader.begin(), firmware.bootloader.end(),
            merged.begin() + TraitsOf(firmware.chip).bootloader_offset);
  std::copy(firmware.partition_table.begin(), firmware.partition_table.end(),
            merged.begin() + kDefaultPartitionTableOffset);
  std::copy(firmware.app.begin(), firmware.app.end(), merged.begin() + 0x10000);
  return merged;
}

}  // namespace kiln::esp::testing
