#ifndef KILN_DAEMON_BOARDS_SETTLE_TIME_H_
#define KILN_DAEMON_BOARDS_SETTLE_TIME_H_

#include "absl/time/time.h"

namespace kiln::boards {

// How long after its arrival a board may lack what the system does about it: loading the kernel's
// driver, making files, setting their permissions (libusb issue 1571 saw a second and more).
inline constexpr absl::Duration kUsbSettleTime = absl::Seconds(2);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_SETTLE_TIME_H_
