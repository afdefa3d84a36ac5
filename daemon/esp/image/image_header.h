#ifndef KILN_DAEMON_ESP_IMAGE_IMAGE_HEADER_H_
#define KILN_DAEMON_ESP_IMAGE_IMAGE_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/esp/chip.h"

// The image format that the ROM and the second-stage bootloader load: a header, segments, a
// checksum and, mostly, a SHA-256. Source: ESP-IDF Programming Guide, "App Image Format". All
// functions are pure and safe on hostile bytes; their errors are INVALID_ARGUMENT and begin with
// the offset from the start of the image ("at 0x18: ...").

namespace kiln::esp {

// Header with its extension; segments start here.
inline constexpr size_t kImageHeaderBytes = 24;
inline constexpr uint8_t kImageMagic = 0xE9;

// The fixed part of an image.
struct ImageHeader {
  int segment_count = 0;      // 1 to 16
  uint8_t spi_mode = 0;       // 0 QIO, 1 QOUT, 2 DIO, 3 DOUT, 4 fast read, 5 slow read
  uint8_t spi_frequency = 0;  // the chip's own code
  uint32_t flash_size_bytes = 0;
  uint32_t entry_address = 0;
  Chip chip = Chip::kEsp32;
  uint16_t min_revision = 0;  // major * 100 + minor
  uint16_t max_revision = 0;  // the same; 65535 means any
  bool hash_appended = false;
};

struct ImageSegment {
  uint32_t load_address = 0;
  uint32_t file_offset = 0;  // of its data
  uint32_t size = 0;
};

// What an application says of itself; every text is printable ASCII.
struct AppDescription {
  std::string version;
  std::string project_name;
  std::string time;
  std::string date;
  std::string idf_version;
};

struct ImageFacts {
  ImageHeader header;
  std::vector<ImageSegment> segments;
  // From the header to the end of the checksum and the SHA-256. A signature may follow in the file.
  uint32_t total_bytes = 0;
  std::optional<AppDescription> app;
};

// Reads the first 24 bytes alone.
absl::StatusOr<ImageHeader> ParseImageHeader(absl::Span<const uint8_t> bytes);

// Reads and verifies a whole image that starts at `bytes[0]`: segments within bounds, checksum,
// SHA-256. Bytes after the image are not looked at.
absl::StatusOr<ImageFacts> ParseImage(absl::Span<const uint8_t> bytes);

// `field` up to its first NUL, with '?' for anything but printable ASCII.
std::string PrintableText(absl::Span<const uint8_t> field);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_IMAGE_IMAGE_HEADER_H_
