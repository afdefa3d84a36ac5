#include "base/clock.h"

#include <chrono>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace kiln::base {
namespace {

class RealClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Duration Monotonic() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
  void Sleep(absl::Duration duration) override { absl::SleepFor(duration); }
  bool AwaitCondition(absl::Mutex* mutex, absl::FunctionRef<bool()> condition,
                      absl::Duration timeout) override {
    auto call = [](absl::FunctionRef<bool()>* c) { return (*c)(); };
    return mutex->AwaitWithTimeout(
        absl::Condition(static_cast<bool (*)(absl::FunctionRef<bool()>*)>(call), &condition),
        timeout);
  }
};

}  // namespace

Clock& SystemClock() {
  static RealClock* const clock = new RealClock();
  return *clock;
}

}  // namespace kiln::base
