#ifndef KILN_DAEMON_PORTS_RFC2217_LINE_SEQUENCER_H_
#define KILN_DAEMON_PORTS_RFC2217_LINE_SEQUENCER_H_

#include <optional>

#include "absl/time/time.h"

namespace kiln::ports {

// Both modem lines; true asserts.
struct LineState {
  bool dtr = false;
  bool rts = false;
  bool operator==(const LineState& other) const { return dtr == other.dtr && rts == other.rts; }
};

// Gives a reset sequence that arrives over a network its timing back.
//
// RFC 2217 sets one line at a time, and a network stretches and shortens the
// pauses between. An ESP32's auto-reset circuit forgives neither: RTS alone
// holds the chip in reset, DTR alone holds GPIO0 low, and both together do
// nothing, so a chip on its way from "reset" to "GPIO0 low" that spends more
// than a few milliseconds in "both" starts its program instead of its loader.
// So a DTR that is asserted during a reset waits for the RTS that follows, both
// then change at once; and the two moments that matter last at least as long as
// ESP-IDF's "Boot Mode Selection" wants, however quickly the requests come. All
// else passes unchanged. Pure logic; used on one thread.
class LineSequencer {
 public:
  enum class Line { kDtr, kRts };
  struct Decision {
    enum class Kind {
      kNothing,  // it is so already
      kApply,    // set `state` now, then call Applied
      kHold,     // asserted as far as the client is concerned; see held_until
      kWait,     // ask again at `until`: the state before has not lasted long enough
    };
    Kind kind = Kind::kNothing;
    LineState state = {};
    absl::Duration until = absl::ZeroDuration();
  };

  // The client asks for `line` to be asserted or released. `now` is on any
  // clock that does not go back, the same in all calls.
  Decision Decide(Line line, bool on, absl::Duration now);
  // The lines were set.
  void Applied(LineState state, absl::Duration now);
  // When a DTR that is being held must be applied at the latest, because what
  // would complete the sequence does not come; then apply `asked()`.
  std::optional<absl::Duration> held_until() const { return held_until_; }

  // As the client believes them to be.
  LineState asked() const { return {lines_.dtr || held_until_.has_value(), lines_.rts}; }

 private:
  bool InReset() const { return lines_.rts && !lines_.dtr; }
  bool Strapping() const { return from_reset_ && lines_.dtr && !lines_.rts; }

  bool known_ = false;  // how the lines are; opening a port may change them
  LineState lines_;
  absl::Duration since_ = -absl::InfiniteDuration();
  bool from_reset_ = false;  // the state before was a reset
  std::optional<absl::Duration> held_until_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_LINE_SEQUENCER_H_
