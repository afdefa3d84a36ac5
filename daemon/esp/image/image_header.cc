#include "daemon/esp/image/image_header.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"

namespace kiln::esp {
namespace {

using ::kiln::base::LoadLe16;
using ::kiln::base::LoadLe32;

// "App Image Format": esp_image_header_t, esp_image_segment_header_t.
constexpr int kMaxSegments = 16;
constexpr size_t kSegmentHeaderBytes = 8;
constexpr uint8_t kChecksumSeed = 0xEF;
constexpr size_t kBodyAlignment = 16;
constexpr size_t kHashBytes = 32;
constexpr int kMaxSpiMode = 5;
constexpr int kMaxFlashSizeCode = 7;  // 1 MiB << code, up to 128 MiB

// "App Image Format", "Application Description": esp_app_desc_t at the start of the first segment.
constexpr uint32_t kAppDescriptionMagic = 0xABCD5432;
constexpr size_t kAppDescriptionBytes = 256;

template <typename... Args>
absl::Status BadAt(size_t offset, const absl::FormatSpec<Args...>& format, const Args&... args) {
  return absl::InvalidArgumentError(
      absl::StrFormat("at 0x%x: %s", offset, absl::StrFormat(format, args...)));
}

std::optional<AppDescription> ReadAppDescription(absl::Span<const uint8_t> segment) {
  if (segment.size() < kAppDescriptionBytes || LoadLe32(segment.data()) != kAppDescriptionMagic) {
    return std::nullopt;
  }
  AppDescription app;
  app.version = PrintableText(segment.subspan(16, 32));
  app.project_name = PrintableText(segment.subspan(48, 32));
  app.time = PrintableText(segment.subspan(80, 16));
  app.date = PrintableText(segment.subspan(96, 16));
  app.idf_version = PrintableText(segment.subspan(112, 32));
  return app;
}

}  // namespace

std::string PrintableText(absl::Span<const uint8_t> field) {
  std::string text;
  for (const uint8_t byte : field) {
    if (byte == 0) break;
    text += absl::ascii_isprint(byte) ? static_cast<char>(byte) : '?';
  }
  return text;
}

absl::StatusOr<ImageHeader> ParseImageHeader(absl::Span<const uint8_t> bytes) {
  if (bytes.size() < kImageHeaderBytes) {
    return BadAt(bytes.size(), "the image header needs %d bytes, the data ends here",
                 kImageHeaderBytes);
  }
  if (bytes[0] != kImageMagic) {
    return BadAt(0, "no image starts here: found 0x%02x instead of 0xe9", bytes[0]);
  }
  ImageHeader header;
  header.segment_count = bytes[1];
  if (header.segment_count < 1 || header.segment_count > kMaxSegments) {
    return BadAt(1, "%d segments are not possible", header.segment_count);
  }
  header.spi_mode = bytes[2];
  if (header.spi_mode > kMaxSpiMode) return BadAt(2, "unknown flash mode %d", header.spi_mode);
  header.spi_frequency = bytes[3] & 0x0F;
  const int size_code = bytes[3] >> 4;
  if (size_code > kMaxFlashSizeCode) return BadAt(3, "unknown flash size code %d", size_code);
  header.flash_size_bytes = uint32_t{1} << (20 + size_code);
  header.entry_address = LoadLe32(&bytes[4]);
  const uint16_t chip_id = LoadLe16(&bytes[12]);
  const std::optional<Chip> chip = ChipOfImageId(chip_id);
  if (!chip.has_value()) return BadAt(12, "unknown chip id %d", chip_id);
  header.chip = *chip;
  header.min_revision = LoadLe16(&bytes[15]);
  header.max_revision = LoadLe16(&bytes[17]);
  if (bytes[23] > 1) return BadAt(23, "the hash flag is %d, neither 0 nor 1", bytes[23]);
  header.hash_appended = bytes[23] == 1;
  return header;
}

absl::StatusOr<ImageFacts> ParseImage(absl::Span<const uint8_t> bytes) {
  ImageFacts facts;
  ASSIGN_OR_RETURN(facts.header, ParseImageHeader(bytes));
  size_t offset = kImageHeaderBytes;
  uint8_t checksum = kChecksumSeed;
  for (int i = 0; i < facts.header.segment_count; ++i) {
    if (bytes.size() - offset < kSegmentHeaderBytes) {
      return BadAt(offset, "the header of segment %d is cut off at 0x%x", i, bytes.size());
    }
    const uint32_t size = LoadLe32(&bytes[offset + 4]);
    const size_t data = offset + kSegmentHeaderBytes;
    if (size % 4 != 0) {
      return BadAt(offset + 4, "segment %d has %d bytes, not a multiple of 4", i, size);
    }
    if (bytes.size() - data < size) {
      return BadAt(offset + 4, "segment %d has %d bytes, only %d are left", i, size,
                   bytes.size() - data);
    }
    facts.segments.push_back({.load_address = LoadLe32(&bytes[offset]),
                              .file_offset = static_cast<uint32_t>(data),
                              .size = size});
    for (const uint8_t byte : bytes.subspan(data, size)) checksum ^= byte;
    offset = data + size;
  }
  // The checksum is the last byte of the body, which is padded to 16.
  const size_t body_end = (offset / kBodyAlignment + 1) * kBodyAlignment;
  if (bytes.size() < body_end) {
    return BadAt(bytes.size(), "the image is cut off before its checksum at 0x%x", body_end - 1);
  }
  if (bytes[body_end - 1] != checksum) {
    return BadAt(body_end - 1, "the checksum is 0x%02x, the content gives 0x%02x",
                 bytes[body_end - 1], checksum);
  }
  facts.total_bytes = static_cast<uint32_t>(body_end);
  if (facts.header.hash_appended) {
    if (bytes.size() - body_end < kHashBytes) {
      return BadAt(bytes.size(), "the image is cut off in its SHA-256, which starts at 0x%x",
                   body_end);
    }
    const base::Sha256Digest digest = base::Sha256(bytes.first(body_end));
    if (!std::equal(digest.begin(), digest.end(), &bytes[body_end])) {
      return BadAt(body_end, "the SHA-256 does not match the content");
    }
    facts.total_bytes += kHashBytes;
  }
  facts.app =
      ReadAppDescription(bytes.subspan(facts.segments[0].file_offset, facts.segments[0].size));
  return facts;
}

}  // namespace kiln::esp
