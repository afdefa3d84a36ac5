#include "simulator/image_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "daemon/esp/chip.h"

namespace kiln::simulator {
namespace {

// ESP-IDF, esp_app_format.h: esp_image_header_t, esp_image_segment_header_t, esp_app_desc_t.
constexpr uint8_t kImageMagic = 0xE9;
constexpr size_t kHeaderSize = 24;
constexpr size_t kSegmentHeaderSize = 8;
constexpr uint8_t kMaxSegments = 16;
constexpr size_t kChipIdAt = 12;
constexpr size_t kHashAppendedAt = 23;
constexpr size_t kDigestSize = 32;
constexpr uint32_t kAppDescriptionMagic = 0xABCD5432;
constexpr size_t kAppVersionAt = 16;
constexpr size_t kAppProjectAt = 48;
constexpr size_t kAppTextSize = 32;
constexpr size_t kAppDescriptionSize = 256;

// ESP-IDF, esp_flash_partitions.h.
constexpr size_t kPartitionEntrySize = 32;
constexpr size_t kPartitionTableSize = 0xC00;
constexpr uint16_t kPartitionMagic = 0x50AA;
constexpr uint16_t kPartitionMd5Magic = 0xEBEB;

std::string TextAt(absl::Span<const uint8_t> bytes) {
  return std::string(bytes.begin(), std::find(bytes.begin(), bytes.end(), 0));
}

}  // namespace

LoadedImage CheckImage(esp::Chip chip, absl::Span<const uint8_t> flash) {
  LoadedImage image;
  if (flash.size() < kHeaderSize || flash[0] != kImageMagic) {
    image.problem = "has invalid magic byte (nothing flashed here?)";
    return image;
  }
  const uint16_t found = base::LoadLe16(&flash[kChipIdAt]);
  const uint16_t expected = esp::TraitsOf(chip).image_chip_id;
  if (found != expected) {
    image.problem = absl::StrFormat("mismatch chip ID, expected %d, found %d", expected, found);
    return image;
  }
  const uint8_t segments = flash[1];
  if (segments == 0 || segments > kMaxSegments) {
    image.problem = absl::StrFormat("invalid segment count %d", segments);
    return image;
  }
  image.entry = base::LoadLe32(&flash[4]);
  size_t at = kHeaderSize;
  uint8_t checksum = 0xEF;
  for (int i = 0; i < segments; ++i) {
    if (flash.size() - at < kSegmentHeaderSize) {
      image.problem = absl::StrFormat("segment %d is outside the flash", i);
      return image;
    }
    const ImageSegment segment = {base::LoadLe32(&flash[at]), base::LoadLe32(&flash[at + 4]),
                                  at + kSegmentHeaderSize};
    if (segment.size % 4 != 0 || segment.size > flash.size() - segment.data_at) {
      image.problem = absl::StrFormat("segment %d: bad length 0x%x", i, segment.size);
      return image;
    }
    for (size_t b = 0; b < segment.size; ++b) checksum ^= flash[segment.data_at + b];
    at = segment.data_at + segment.size;
    image.segments.push_back(segment);
  }
  const size_t checksum_at = at / 16 * 16 + 15;
  if (checksum_at >= flash.size()) {
    image.problem = "ends outside the flash";
    return image;
  }
  if (flash[checksum_at] != checksum) {
    image.problem =
        absl::StrFormat("Checksum failed. Calculated 0x%x read 0x%x", checksum, flash[checksum_at]);
    return image;
  }
  image.size = static_cast<uint32_t>(checksum_at + 1);
  if (flash[kHashAppendedAt] == 1) {
    if (flash.size() - image.size < kDigestSize) {
      image.problem = "ends outside the flash";
      return image;
    }
    const base::Sha256Digest digest = base::Sha256(flash.subspan(0, image.size));
    if (!std::equal(digest.begin(), digest.end(), flash.begin() + image.size)) {
      image.problem = "Image hash failed - image is corrupt";
      return image;
    }
    image.size += kDigestSize;
  }
  const ImageSegment& first = image.segments.front();
  const absl::Span<const uint8_t> data = flash.subspan(first.data_at, first.size);
  if (data.size() >= kAppDescriptionSize && base::LoadLe32(data.data()) == kAppDescriptionMagic) {
    image.version = TextAt(data.subspan(kAppVersionAt, kAppTextSize));
    image.project = TextAt(data.subspan(kAppProjectAt, kAppTextSize));
  }
  return image;
}

PartitionTable ReadPartitionTable(absl::Span<const uint8_t> flash) {
  PartitionTable table;
  bool digest_seen = false;
  const size_t limit = std::min(flash.size(), kPartitionTableSize);
  for (size_t at = 0; at + kPartitionEntrySize <= limit; at += kPartitionEntrySize) {
    const absl::Span<const uint8_t> entry = flash.subspan(at, kPartitionEntrySize);
    const uint16_t magic = base::LoadLe16(entry.data());
    if (magic == 0xFFFF) break;
    if (magic == kPartitionMd5Magic) {
      const base::Md5Digest digest = base::Md5(flash.subspan(0, at));
      if (!std::equal(digest.begin(), digest.end(), entry.begin() + 16)) {
        table.problem = "partition table MD5 does not match";
        return table;
      }
      digest_seen = true;
      continue;
    }
    if (magic != kPartitionMagic || digest_seen) {
      table.problem = absl::StrFormat("partition %d invalid magic number 0x%x",
                                      at / kPartitionEntrySize, magic);
      return table;
    }
    table.entries.push_back({entry[2], entry[3], base::LoadLe32(&entry[4]),
                             base::LoadLe32(&entry[8]), TextAt(entry.subspan(12, 16))});
  }
  if (table.entries.empty()) table.problem = "partition 0 invalid magic number 0xffff";
  return table;
}

}  // namespace kiln::simulator
