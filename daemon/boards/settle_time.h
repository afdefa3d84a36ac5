#ifndef KILN_DAEMON_BOARDS_SETTLE_TIME_H_
#define KILN_DAEMON_BOARDS_SETTLE_TIME_H_

#include <algorithm>

#include "absl/time/time.h"

namespace kiln::boards {

// How long after its arrival a board may lack what the system does about it: loading the kernel's
// driver, making files, setting their permissions (libusb issue 1571 saw a second and more).
inline constexpr absl::Duration kUsbSettleTime = absl::Seconds(2);

// How long whoever waits for that pauses between two looks: little at first, since most comes
// within a few milliseconds, and twice as long each time.
class SettlePause {
 public:
  // At most `left`, the time until the board has settled.
  absl::Duration Next(absl::Duration left) {
    const absl::Duration pause = next_;
    next_ = std::min(2 * next_, kLongest);
    return std::clamp(left, absl::ZeroDuration(), pause);
  }

 private:
  static constexpr absl::Duration kLongest = absl::Milliseconds(200);

  absl::Duration next_ = absl::Milliseconds(10);
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_SETTLE_TIME_H_
