#include "daemon/pipeline/watchdog.h"

#include <atomic>
#include <optional>

#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

TEST(WatchdogTest, CallsWhenTheTimeIsOverAndAgainUntilTheStepLetsGo) {
  Watchdog watchdog(base::SystemClock());
  absl::Notification twice;
  std::atomic<int> calls = 0;
  const Watchdog::Guard guard = watchdog.Arm(absl::Milliseconds(1), [&] {
    if (++calls == 2) twice.Notify();
  });
  EXPECT_TRUE(twice.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_TRUE(guard.expired());
}

TEST(WatchdogTest, LeavesThoseAloneThatAreInTime) {
  Watchdog watchdog(base::SystemClock());
  absl::Notification called;
  std::atomic<int> others = 0;
  const Watchdog::Guard patient = watchdog.Arm(absl::Hours(1), [&] { ++others; });
  {
    const Watchdog::Guard done = watchdog.Arm(absl::Milliseconds(1), [] {});
  }
  const Watchdog::Guard late = watchdog.Arm(absl::Milliseconds(1), [&] {
    if (!called.HasBeenNotified()) called.Notify();
  });
  EXPECT_TRUE(called.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_FALSE(patient.expired());
  EXPECT_EQ(others, 0);
}

TEST(WatchdogTest, ExpireAllIsTheLastResort) {
  Watchdog watchdog(base::SystemClock());
  absl::Notification called;
  const Watchdog::Guard patient = watchdog.Arm(absl::InfiniteDuration(), [&] {
    if (!called.HasBeenNotified()) called.Notify();
  });
  watchdog.ExpireAll();
  EXPECT_TRUE(called.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

}  // namespace
}  // namespace kiln::pipeline
