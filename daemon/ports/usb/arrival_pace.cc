#include "daemon/ports/usb/arrival_pace.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace kiln::ports {
namespace {

// Transfers that the average remembers: with the start at 16 ms, a score of quick ones in a row.
constexpr int kMemory = 8;
// A stream has a transfer at least this often. At 115200 baud a millisecond brings 11 bytes.
constexpr absl::Duration kDense = absl::Milliseconds(2);

}  // namespace

absl::Duration ArrivalPace::ArrivedAt(absl::Duration now) {
  const absl::Duration gap = now - std::exchange(last_, now);
  between_ = gap >= kSlow ? kSlow : between_ + (gap - between_) / kMemory;
  return between_ <= kDense ? between_ : absl::InfiniteDuration();
}

}  // namespace kiln::ports
