#ifndef KILN_DAEMON_ESP_PREPARED_IMAGE_H_
#define KILN_DAEMON_ESP_PREPARED_IMAGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/digest.h"

namespace kiln::esp {

// One image made ready for any number of boards: hashed and compressed once,
// then shared by the workers of all ports. Immutable to its users and
// thread-safe; what is computed late (compressed parts for delta writes) is
// computed once, under a lock.
class PreparedImage;

// Makes a prepared image of `bytes` (1 byte to 64 MiB).
std::shared_ptr<const PreparedImage> PrepareImage(std::vector<uint8_t> bytes);

// One image at its place in flash.
struct FlashRegion {
  std::string label;    // for progress and errors: "app"
  uint32_t offset = 0;  // multiple of 4096
  std::shared_ptr<const PreparedImage> image;
};

// What a deployment puts on a board: regions in ascending order without
// overlap.
using FlashPlan = std::vector<FlashRegion>;

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_PREPARED_IMAGE_H_
