#ifndef KILN_BASE_FAKE_CLOCK_H_
#define KILN_BASE_FAKE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace kiln::base {

// A clock that moves only when told, or when somebody sleeps on it: `Sleep`
// advances the time and returns at once, `AwaitCondition` advances to its
// deadline when the condition does not hold. Single-threaded use by design: a
// test that needs two threads to meet waits on real state.
class FakeClock final : public Clock {
 public:
  // Starts at 2026-11-21 00:00:00 UTC with a monotonic time of 1000 s.
  FakeClock();

  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  void Sleep(absl::Duration duration) override;
  bool AwaitCondition(absl::Mutex* mutex, absl::FunctionRef<bool()> condition,
                      absl::Duration timeout) override;

  // Moves both times forward; negative durations are ignored.
  void Advance(absl::Duration duration);
  // Sets the wall clock alone, as an administrator or NTP would.
  void SetNow(absl::Time now);

 private:
  mutable absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  absl::Duration monotonic_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1000);
};

}  // namespace kiln::base

#endif  // KILN_BASE_FAKE_CLOCK_H_
