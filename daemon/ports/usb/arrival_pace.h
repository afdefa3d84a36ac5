#ifndef KILN_DAEMON_PORTS_USB_ARRIVAL_PACE_H_
#define KILN_DAEMON_PORTS_USB_ARRIVAL_PACE_H_

#include "absl/time/time.h"

namespace kiln::ports {

// Tells a stream of bytes from answers, by how closely the transfers follow each other that bring
// them. Each that ends wakes a thread, which costs far more than its bytes: of a stream several may
// be taken together, an answer must be told at once. Owned by the pipes; not thread-safe.
class ArrivalPace {
 public:
  // `now` is of a monotonic clock that ArrivedAt is given, too.
  explicit ArrivalPace(absl::Duration now) : last_(now) {}

  // A transfer has brought bytes. Returns the time that on average passes between two, once some
  // twenty have come closely one after the other since the last question; infinite before.
  absl::Duration ArrivedAt(absl::Duration now);
  // Somebody wrote: what comes next is an answer.
  void Asked() { between_ = kSlow; }

 private:
  // Where the average starts, and the most that a gap counts.
  static constexpr absl::Duration kSlow = absl::Milliseconds(16);

  absl::Duration last_;
  absl::Duration between_ = kSlow;  // a moving average
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_ARRIVAL_PACE_H_
