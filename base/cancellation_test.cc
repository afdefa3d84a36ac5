#include "base/cancellation.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace kiln::base {
namespace {

TEST(CancellationTest, StaysOkUntilCancelled) {
  Cancellation cancellation;
  EXPECT_FALSE(cancellation.IsCancelled());
  EXPECT_TRUE(cancellation.Check().ok()) << cancellation.Check();
}

TEST(CancellationTest, KeepsTheFirstReason) {
  Cancellation cancellation;
  cancellation.Cancel("operator");
  cancellation.Cancel("shutdown");
  EXPECT_EQ(cancellation.Check(), absl::CancelledError("operator"));
}

TEST(CancellationTest, FollowsItsParent) {
  Cancellation parent;
  Cancellation child(&parent);
  parent.Cancel("shutdown");
  EXPECT_EQ(child.Check(), absl::CancelledError("shutdown"));
}

TEST(CancellationTest, DoesNotReachItsParent) {
  Cancellation parent;
  Cancellation child(&parent);
  child.Cancel("operator");
  EXPECT_FALSE(parent.IsCancelled());
}

}  // namespace
}  // namespace kiln::base
