#include "simulator/demo_image.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kiln::simulator {
namespace {

constexpr uint32_t kBootloaderSize = 0x6000;
constexpr uint32_t kMmuPage = 0x10000;
constexpr size_t kHeaderSize = 24;
constexpr size_t kSegmentHeaderSize = 8;

// Where the chips run and map code (technical reference manuals, "System and Memory").
struct MemoryMap {
  uint32_t iram;
  uint32_t drom;
  uint32_t irom;
};

MemoryMap MapOf(esp::Chip chip) {
  switch (chip) {
    case esp::Chip::kEsp32:
      return {0x40080000, 0x3F400000, 0x400D0000};
    case esp::Chip::kEsp32S2:
      return {0x40024000, 0x3F000000, 0x40080000};
    case esp::Chip::kEsp32S3:
      return {0x40374000, 0x3C000000, 0x42000000};
    case esp::Chip::kEsp32C2:
      return {0x4037C000, 0x3C000000, 0x42000000};
    case esp::Chip::kEsp32C3:
      return {0x40380000, 0x3C000000, 0x42000000};
    case esp::Chip::kEsp32P4:
      return {0x4FF00000, 0x40000000, 0x40000000};
    case esp::Chip::kEsp32C5:
    case esp::Chip::kEsp32C6:
    case esp::Chip::kEsp32C61:
    case esp::Chip::kEsp32H2:
      return {0x40800000, 0x42000000, 0x42000000};
  }
  return {};
}

// SplitMix64 (Steele, Lea, Flood 2014): small, fast, the same everywhere.
class Generator {
 public:
  explicit Generator(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(Next() % limit); }

 private:
  uint64_t state_;
};

// Bytes with the statistics of compiled code: instructions of two to four bytes with few opcodes
// and less regular operands, sequences that come again, now and then a table or a text.
std::vector<uint8_t> PseudoCode(Generator& random, size_t size) {
  static constexpr absl::string_view kTexts[] = {
      "failed to initialise", "wifi:state: assoc -> run", "heap_caps_malloc",
      "E (%lu) %s: ",         "esp_netif_lwip",           "invalid argument",
  };
  std::vector<uint8_t> code;
  code.reserve(size + 64);
  while (code.size() < size) {
    const uint32_t kind = random.Below(100);
    if (kind < 13 && code.size() > 256) {
      // A sequence seen before, such as a prologue or a call with the same arguments.
      const size_t length = 6 + random.Below(10);
      const size_t back = 64 + random.Below(static_cast<uint32_t>(
                                   std::min<size_t>(code.size() - 64, size_t{16} * 1024)));
      const size_t from = code.size() - std::min(back, code.size());
      for (size_t i = 0; i < length; ++i) code.push_back(code[from + i]);
    } else if (kind < 14) {
      const absl::string_view text = kTexts[random.Below(std::size(kTexts))];
      code.insert(code.end(), text.begin(), text.end());
      code.push_back(0);
    } else {
      // The smaller of two draws: some opcodes are far more frequent than others.
      code.push_back(static_cast<uint8_t>(std::min(random.Below(96), random.Below(96)) * 0x2D));
      code.push_back(static_cast<uint8_t>(random.Below(160)));
      if (random.Below(3) != 0) code.push_back(static_cast<uint8_t>(random.Below(208)));
    }
  }
  code.resize(size);
  return code;
}

void Append(std::vector<uint8_t>& out, absl::string_view text, size_t width) {
  std::string field(text.substr(0, width - 1));
  field.resize(width, '\0');
  out.insert(out.end(), field.begin(), field.end());
}

// esp_app_desc_t of ESP-IDF's esp_app_desc.h.
std::vector<uint8_t> AppDescription(absl::string_view version, Generator& random) {
  std::vector<uint8_t> out;
  base::AppendLe(out, uint32_t{0xABCD5432});
  out.insert(out.end(), 12, 0);  // secure version, reserved
  Append(out, version, 32);
  Append(out, "kiln-demo", 32);
  Append(out, "12:00:00", 16);
  Append(out, "Nov 21 2026", 16);
  Append(out, "v5.3", 32);
  for (int i = 0; i < 4; ++i) base::AppendLe(out, random.Next());  // SHA-256 of the ELF file
  out.resize(256, 0);
  return out;
}

struct Segment {
  uint32_t address;
  std::vector<uint8_t> data;
};

std::vector<uint8_t> MakeImage(esp::Chip chip, uint32_t entry, uint32_t flash_size,
                               const std::vector<Segment>& segments) {
  std::vector<uint8_t> image = {0xE9, static_cast<uint8_t>(segments.size())};
  image.push_back(0x02);  // DIO
  // Size in the upper nibble (0 is 1 MB, each step doubles), 40 MHz in the lower.
  const int size_code = std::countr_zero(flash_size) - 20;
  image.push_back(static_cast<uint8_t>(size_code << 4));
  base::AppendLe(image, entry);
  image.insert(image.end(), {0xEE, 0, 0, 0});
  base::AppendLe(image, esp::TraitsOf(chip).image_chip_id);
  image.push_back(0);                       // minimal revision, old form
  base::AppendLe(image, uint16_t{0});       // minimal revision
  base::AppendLe(image, uint16_t{0xFFFF});  // maximal revision: any
  image.insert(image.end(), {0, 0, 0, 0});  // reserved
  image.push_back(1);                       // SHA-256 appended
  uint8_t checksum = 0xEF;
  for (const Segment& segment : segments) {
    base::AppendLe(image, segment.address);
    base::AppendLe(image, static_cast<uint32_t>(segment.data.size()));
    for (const uint8_t byte : segment.data) checksum ^= byte;
    image.insert(image.end(), segment.data.begin(), segment.data.end());
  }
  image.resize(image.size() / 16 * 16 + 15, 0);
  image.push_back(checksum);
  const base::Sha256Digest digest = base::Sha256(image);
  image.insert(image.end(), digest.begin(), digest.end());
  return image;
}

std::vector<uint8_t> MakeApplication(esp::Chip chip, uint32_t size, uint32_t flash_size,
                                     absl::string_view version, Generator& random) {
  const MemoryMap map = MapOf(chip);
  // Checksum byte with its padding to 16, and the digest.
  const size_t content = size / 16 * 16 - 32 - 4;
  constexpr size_t kIramSize = 0x800;
  size_t mapped = content - kHeaderSize - 2 * kSegmentHeaderSize - kIramSize;
  std::vector<Segment> segments;
  // Mapped segments keep their offset within a page of the MMU; the first begins at 0x20.
  size_t drom = mapped;
  const bool split = content > size_t{3} * kMmuPage;
  if (split) {
    drom = std::max<size_t>(content / 4 / kMmuPage, 1) * kMmuPage - kSegmentHeaderSize;
    mapped -= kSegmentHeaderSize;
  }
  Segment constants{map.drom + 0x20, AppDescription(version, random)};
  const std::vector<uint8_t> code = PseudoCode(random, drom - constants.data.size());
  constants.data.insert(constants.data.end(), code.begin(), code.end());
  segments.push_back(std::move(constants));
  if (split) {
    const uint32_t page = static_cast<uint32_t>((drom + kSegmentHeaderSize) / kMmuPage);
    const bool shared = map.irom == map.drom;
    segments.push_back(
        {map.irom + (shared ? page * kMmuPage : 0) + 0x20, PseudoCode(random, mapped - drom)});
  }
  segments.push_back({map.iram, PseudoCode(random, kIramSize)});
  return MakeImage(chip, map.iram + 4, flash_size, segments);
}

std::vector<uint8_t> MakePartitionTable(uint32_t application_size) {
  std::vector<uint8_t> table;
  const auto add = [&](uint8_t type, uint8_t subtype, uint32_t offset, uint32_t size,
                       absl::string_view label) {
    table.insert(table.end(), {0xAA, 0x50, type, subtype});
    base::AppendLe(table, offset);
    base::AppendLe(table, size);
    Append(table, label, 16);
    base::AppendLe(table, uint32_t{0});
  };
  add(1, 0x02, DemoImage::kNvsOffset, DemoImage::kNvsSize, "nvs");
  add(1, 0x01, 0xF000, 0x1000, "phy_init");
  const uint32_t room = (application_size + kMmuPage - 1) / kMmuPage * kMmuPage;
  add(0, 0x00, DemoImage::kApplicationOffset, std::max<uint32_t>(room, 0x100000), "factory");
  const base::Md5Digest digest = base::Md5(table);
  table.insert(table.end(), {0xEB, 0xEB});
  table.insert(table.end(), 14, 0xFF);
  table.insert(table.end(), digest.begin(), digest.end());
  table.resize(0xC00, 0xFF);
  return table;
}

absl::Status WriteFile(const std::filesystem::path& path, absl::string_view contents) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  file.close();
  if (!file) return absl::InternalError(absl::StrCat("cannot write ", path.string()));
  return absl::OkStatus();
}

}  // namespace

DemoImage MakeDemoImage(esp::Chip chip, uint32_t application_size, uint64_t seed,
                        absl::string_view version, uint32_t flash_size) {
  Generator random(seed);
  const uint32_t size = std::clamp<uint32_t>(application_size, 4096, 12 * 1024 * 1024);
  DemoImage image;
  image.chip = chip;
  image.flash_size = flash_size;
  image.bootloader_offset = esp::TraitsOf(chip).bootloader_offset;
  const MemoryMap map = MapOf(chip);
  image.bootloader = MakeImage(chip, map.iram + 0x404, flash_size,
                               {{map.iram + 0x400, PseudoCode(random, kBootloaderSize / 4)},
                                {map.iram + 0x8000, PseudoCode(random, kBootloaderSize / 2)}});
  image.partition_table = MakePartitionTable(size);
  image.application = MakeApplication(chip, size, flash_size, version, random);
  return image;
}

std::vector<uint8_t> MergeDemoImage(const DemoImage& image) {
  std::vector<uint8_t> merged(DemoImage::kApplicationOffset, 0xFF);
  std::copy(image.bootloader.begin(), image.bootloader.end(),
            merged.begin() + image.bootloader_offset);
  std::copy(image.partition_table.begin(), image.partition_table.end(),
            merged.begin() + DemoImage::kPartitionTableOffset);
  merged.insert(merged.end(), image.application.begin(), image.application.end());
  return merged;
}

absl::Status WriteDemoBundle(const DemoImage& image, const std::string& folder) {
  const std::filesystem::path root(folder);
  const std::string chip(esp::TraitsOf(image.chip).stub_name);
  const std::string flash_size = absl::StrCat(image.flash_size >> 20, "MB");
  const auto offset = [](uint32_t value) { return absl::StrFormat("0x%x", value); };
  const auto part = [&](uint32_t at, absl::string_view file) {
    return nlohmann::ordered_json{
        {"offset", offset(at)}, {"file", std::string(file)}, {"encrypted", "false"}};
  };
  // As ESP-IDF's build writes it (esptool_py's flasher_args.json).
  nlohmann::ordered_json args;
  args["write_flash_args"] = {"--flash_mode", "dio",          "--flash_size",
                              flash_size,     "--flash_freq", "40m"};
  args["flash_settings"] = {
      {"flash_mode", "dio"}, {"flash_size", flash_size}, {"flash_freq", "40m"}};
  args["flash_files"] = {
      {offset(image.bootloader_offset), "bootloader/bootloader.bin"},
      {offset(DemoImage::kApplicationOffset), "app.bin"},
      {offset(DemoImage::kPartitionTableOffset), "partition_table/partition-table.bin"}};
  args["bootloader"] = part(image.bootloader_offset, "bootloader/bootloader.bin");
  args["app"] = part(DemoImage::kApplicationOffset, "app.bin");
  args["partition-table"] =
      part(DemoImage::kPartitionTableOffset, "partition_table/partition-table.bin");
  args["extra_esptool_args"] = {
      {"after", "hard_reset"}, {"before", "default_reset"}, {"stub", true}, {"chip", chip}};
  RETURN_IF_ERROR(WriteFile(root / "bootloader/bootloader.bin", base::AsChars(image.bootloader)));
  RETURN_IF_ERROR(WriteFile(root / "partition_table/partition-table.bin",
                            base::AsChars(image.partition_table)));
  RETURN_IF_ERROR(WriteFile(root / "app.bin", base::AsChars(image.application)));
  return WriteFile(root / "flasher_args.json", absl::StrCat(args.dump(4), "\n"));
}

}  // namespace kiln::simulator
