#include "daemon/esp/write_plan.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/esp/prepared_image.h"

namespace kiln::esp {
namespace {

void AppendMerged(std::vector<Extent>& extents, Extent extent) {
  if (extent.size() == 0) return;
  if (!extents.empty() && extents.back().end == extent.begin) {
    extents.back().end = extent.end;
  } else {
    extents.push_back(extent);
  }
}

}  // namespace

std::vector<Extent> SegmentsOf(uint32_t offset, uint32_t size) {
  std::vector<Extent> segments;
  for (uint32_t begin = 0; begin < size;) {
    const uint32_t to_boundary = kSegmentBytes - (offset + begin) % kSegmentBytes;
    const uint32_t end = begin + std::min(to_boundary, size - begin);
    segments.push_back({begin, end});
    begin = end;
  }
  return segments;
}

bool MostlyDifferent(size_t different, size_t segments) { return different * 8 > segments * 7; }

RegionWrites PlanWrites(const RegionState& state, bool can_erase) {
  RegionWrites result;
  if (state.blank) {
    AppendMerged(result.writes, {0, state.content_end});
    return result;
  }
  for (const Extent& extent : state.different) AppendMerged(result.writes, extent);
  const Extent tail = {state.content_end, state.size};
  if (tail.size() == 0 || state.tail_blank) return result;
  if (can_erase) {
    // The tail starts at a sector and the region owns the rest of its last one.
    const uint32_t sectors = (tail.size() + kFlashSectorBytes - 1) / kFlashSectorBytes;
    result.erase = Extent{tail.begin, tail.begin + sectors * kFlashSectorBytes};
  } else {
    AppendMerged(result.writes, tail);
  }
  return result;
}

}  // namespace kiln::esp
