#ifndef KILN_BASE_CLOCK_H_
#define KILN_BASE_CLOCK_H_

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace kiln::base {

// The only source of time. Real code gets `SystemClock()`, tests a FakeClock.
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall-clock time, for records and events. May jump when the system's clock
  // is set.
  virtual absl::Time Now() const = 0;

  // Time since an unspecified origin that never goes back. For timeouts, rates
  // and durations.
  virtual absl::Duration Monotonic() const = 0;

  // Blocks the caller for `duration`. Negative durations return at once. Only
  // for short protocol delays (reset lines); anything that may be cancelled
  // waits with `AwaitCondition`.
  virtual void Sleep(absl::Duration duration) = 0;

  // Waits with `mutex` held (as absl::Mutex::AwaitWithTimeout does) until
  // `condition` holds or `timeout` has passed on this clock; true when the
  // condition holds.
  virtual bool AwaitCondition(absl::Mutex* mutex, absl::FunctionRef<bool()> condition,
                              absl::Duration timeout) = 0;
};

// The process-wide real clock; never destroyed.
Clock& SystemClock();

}  // namespace kiln::base

#endif  // KILN_BASE_CLOCK_H_
