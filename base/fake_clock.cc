#include "base/fake_clock.h"

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace kiln::base {

FakeClock::FakeClock() : now_(absl::FromCivil(absl::CivilDay(2026, 11, 21), absl::UTCTimeZone())) {}

absl::Time FakeClock::Now() const {
  absl::MutexLock lock(&mutex_);
  return now_;
}

absl::Duration FakeClock::Monotonic() const {
  absl::MutexLock lock(&mutex_);
  return monotonic_;
}

void FakeClock::Sleep(absl::Duration duration) { Advance(duration); }

bool FakeClock::AwaitCondition(absl::Mutex* mutex, absl::FunctionRef<bool()> condition,
                               absl::Duration timeout) {
  mutex->AssertHeld();
  if (condition()) return true;
  Advance(timeout);
  return condition();
}

void FakeClock::Advance(absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return;
  absl::MutexLock lock(&mutex_);
  now_ += duration;
  monotonic_ += duration;
}

void FakeClock::SetNow(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  now_ = now;
}

}  // namespace kiln::base
