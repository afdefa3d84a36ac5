#ifndef KILN_DAEMON_ESP_WRITE_PLAN_H_
#define KILN_DAEMON_ESP_WRITE_PLAN_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace kiln::esp {

// Deciding what of a region has to be written, as pure functions over what the chip answered.
// Positions are bytes from the start of the region.

struct Extent {
  uint32_t begin = 0;
  uint32_t end = 0;  // exclusive
  uint32_t size() const { return end - begin; }
  friend bool operator==(const Extent& a, const Extent& b) {
    return a.begin == b.begin && a.end == b.end;
  }
};

// Regions up to this size are written whole when they differ at all; larger ones are compared in
// segments of this size, which is also what a loader erases fastest.
inline constexpr uint32_t kSegmentBytes = 64 * 1024;

// Cuts [0, `size`) where flash addresses are multiples of 64 KiB. `offset` is the region's place.
std::vector<Extent> SegmentsOf(uint32_t offset, uint32_t size);

// Above this part of the segments, comparing costs more than it saves: write everything.
bool MostlyDifferent(size_t different, size_t segments);

// What the chip's answers say about a region.
struct RegionState {
  uint32_t size = 0;         // padded size of the image
  uint32_t content_end = 0;  // see PreparedImage::content_end
  bool blank = false;        // the chip holds nothing but 0xFF here
  // Whether [content_end, size) on the chip is 0xFF. Only asked when it is not empty and the
  // region is not blank.
  bool tail_blank = false;
  // Parts of [0, content_end) that differ, in ascending order.
  std::vector<Extent> different;
};

// What to do about it.
struct RegionWrites {
  std::vector<Extent> writes;   // ascending; neighbours are merged
  std::optional<Extent> erase;  // whole sectors to erase without writing
};

// `can_erase`: the loader can erase without writing (stub), so blank tails need no data.
RegionWrites PlanWrites(const RegionState& state, bool can_erase);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_WRITE_PLAN_H_
