#ifndef KILN_DAEMON_BOARDS_EVENTFUL_CLOCK_H_
#define KILN_DAEMON_BOARDS_EVENTFUL_CLOCK_H_

#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/fake_clock.h"

namespace kiln::boards {

// A fake clock on which something happens whenever somebody sleeps. For tests, on one thread.
class EventfulClock final : public base::Clock {
 public:
  absl::Time Now() const override { return clock_.Now(); }
  absl::Duration Monotonic() const override { return clock_.Monotonic(); }
  void Sleep(absl::Duration duration) override {
    clock_.Sleep(duration);
    if (on_sleep) on_sleep();
  }
  bool AwaitCondition(absl::Mutex* mutex, absl::FunctionRef<bool()> condition,
                      absl::Duration timeout) override {
    return clock_.AwaitCondition(mutex, condition, timeout);
  }

  std::function<void()> on_sleep;

 private:
  base::FakeClock clock_;
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_EVENTFUL_CLOCK_H_
