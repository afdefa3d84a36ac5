#include "daemon/ports/rfc2217/line_sequencer.h"

#include <optional>

#include "absl/time/time.h"

namespace kiln::ports {
namespace {

// EN must be low long enough for its capacitor to empty, and GPIO0 until the
// chip has read it after EN rose: as the sequences that run on the spot.
constexpr absl::Duration kMinReset = absl::Milliseconds(100);
constexpr absl::Duration kMinStrap = absl::Milliseconds(50);
// A client that waits for each acknowledgement needs a round trip between two
// requests. Longer than this, and it means both lines.
constexpr absl::Duration kMaxHold = absl::Seconds(2);

}  // namespace

LineSequencer::Decision LineSequencer::Decide(Line line, bool on, absl::Duration now) {
  LineState wanted = asked();
  (line == Line::kDtr ? wanted.dtr : wanted.rts) = on;
  if (!known_) return {.kind = Decision::Kind::kApply, .state = wanted};
  if (wanted == asked()) return {};
  if (InReset() && wanted.dtr && wanted.rts) {
    held_until_ = now + kMaxHold;
    return {.kind = Decision::Kind::kHold};
  }
  if (wanted == lines_) {  // a held DTR is released again
    held_until_.reset();
    return {};
  }
  const absl::Duration minimum = InReset()     ? kMinReset
                                 : Strapping() ? kMinStrap
                                               : absl::ZeroDuration();
  if (now < since_ + minimum) {
    return {.kind = Decision::Kind::kWait, .until = since_ + minimum};
  }
  return {.kind = Decision::Kind::kApply, .state = wanted};
}

void LineSequencer::Applied(LineState state, absl::Duration now) {
  known_ = true;
  held_until_.reset();
  from_reset_ = InReset();
  lines_ = state;
  since_ = now;
}

}  // namespace kiln::ports
