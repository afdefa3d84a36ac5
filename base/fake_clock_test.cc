#include "base/fake_clock.h"

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kiln::base {
namespace {

TEST(FakeClockTest, SleepMovesBothTimesWithoutWaiting) {
  FakeClock clock;
  const absl::Time wall = clock.Now();
  const absl::Duration monotonic = clock.Monotonic();
  clock.Sleep(absl::Hours(5));
  EXPECT_EQ(clock.Now() - wall, absl::Hours(5));
  EXPECT_EQ(clock.Monotonic() - monotonic, absl::Hours(5));
}

TEST(FakeClockTest, SettingTheWallClockLeavesTheMonotonicOne) {
  FakeClock clock;
  const absl::Duration before = clock.Monotonic();
  clock.SetNow(absl::UnixEpoch());
  EXPECT_EQ(clock.Monotonic(), before);
  EXPECT_EQ(clock.Now(), absl::UnixEpoch());
}

TEST(FakeClockTest, AwaitConditionSpendsItsTimeoutOnlyWhenTheConditionFails) {
  FakeClock clock;
  absl::Mutex mutex;
  absl::MutexLock lock(&mutex);
  const absl::Duration start = clock.Monotonic();
  EXPECT_TRUE(clock.AwaitCondition(&mutex, [] { return true; }, absl::Seconds(3)));
  EXPECT_EQ(clock.Monotonic(), start);
  EXPECT_FALSE(clock.AwaitCondition(&mutex, [] { return false; }, absl::Seconds(3)));
  EXPECT_EQ(clock.Monotonic(), start + absl::Seconds(3));
}

TEST(SystemClockTest, MonotonicTimeAdvances) {
  Clock& clock = SystemClock();
  const absl::Duration start = clock.Monotonic();
  clock.Sleep(absl::Microseconds(10));
  EXPECT_GT(clock.Monotonic(), start);
}

}  // namespace
}  // namespace kiln::base
