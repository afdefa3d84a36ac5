#ifndef KILN_SIMULATOR_DEMO_IMAGE_H_
#define KILN_SIMULATOR_DEMO_IMAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "daemon/esp/chip.h"

namespace kiln::simulator {

// A firmware for demonstrations and tests: images a chip's loaders accept, with contents that
// compress as real code does (zlib to about 0.65), the same for the same arguments.
struct DemoImage {
  esp::Chip chip;
  uint32_t flash_size = 0;
  std::vector<uint8_t> bootloader;       // at the chip's bootloader offset
  std::vector<uint8_t> partition_table;  // at 0x8000
  std::vector<uint8_t> application;      // at 0x10000
  uint32_t bootloader_offset = 0;

  static constexpr uint32_t kPartitionTableOffset = 0x8000;
  static constexpr uint32_t kNvsOffset = 0x9000;
  static constexpr uint32_t kNvsSize = 0x6000;
  static constexpr uint32_t kApplicationOffset = 0x10000;
};

// `application_size` in bytes, 4 KiB to 12 MiB, rounded down to a multiple of 16. `flash_size`
// goes into the image headers and must hold the application.
DemoImage MakeDemoImage(esp::Chip chip, uint32_t application_size, uint64_t seed,
                        absl::string_view version = "1.0.0", uint32_t flash_size = 4 * 1024 * 1024);

// The image as one, from flash offset 0 with FF between the parts.
std::vector<uint8_t> MergeDemoImage(const DemoImage& image);

// Writes `image` as an ESP-IDF build folder: flasher_args.json and the files it names. Makes
// `folder` and what is missing above it.
absl::Status WriteDemoBundle(const DemoImage& image, const std::string& folder);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_DEMO_IMAGE_H_
