#include "daemon/ports/usb/arrival_pace.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

class ArrivalPaceTest : public ::testing::Test {
 protected:
  // The last of `times` transfers, each `gap` after the one before.
  absl::Duration Arrive(int times, absl::Duration gap) {
    absl::Duration between;
    for (int i = 0; i < times; ++i) between = pace_.ArrivedAt(now_ += gap);
    return between;
  }

  absl::Duration now_ = absl::Seconds(100);
  ArrivalPace pace_{now_};
};

TEST_F(ArrivalPaceTest, TakesTheFewTransfersOfAnAnswerForNoStream) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Arrive(1, absl::Milliseconds(180)), absl::InfiniteDuration());
    EXPECT_EQ(Arrive(10, absl::Microseconds(50)), absl::InfiniteDuration());
  }
}

TEST_F(ArrivalPaceTest, TellsTheTimeBetweenTheTransfersOfAStream) {
  const absl::Duration between = Arrive(60, absl::Microseconds(700));
  EXPECT_GE(between, absl::Microseconds(700));
  EXPECT_LT(between, absl::Microseconds(720));
}

// Of a gathered stream many are told of at once.
TEST_F(ArrivalPaceTest, CountsThoseThatCameTogetherAsOneEach) {
  absl::Duration between;
  for (int i = 0; i < 20; ++i) {
    Arrive(1, absl::Milliseconds(4));
    between = Arrive(4, absl::ZeroDuration());
  }
  EXPECT_GE(between, absl::Microseconds(400));
  EXPECT_LE(between, absl::Microseconds(1'300));
}

TEST_F(ArrivalPaceTest, FollowsAStreamThatGrowsSlower) {
  Arrive(60, absl::Microseconds(200));
  EXPECT_EQ(Arrive(60, absl::Milliseconds(5)), absl::InfiniteDuration());
}

TEST_F(ArrivalPaceTest, StartsAnewAfterAPauseAndAfterAQuestion) {
  EXPECT_NE(Arrive(60, absl::Microseconds(200)), absl::InfiniteDuration());
  EXPECT_EQ(Arrive(1, absl::Milliseconds(20)), absl::InfiniteDuration());
  EXPECT_EQ(Arrive(10, absl::Microseconds(200)), absl::InfiniteDuration());
  EXPECT_NE(Arrive(60, absl::Microseconds(200)), absl::InfiniteDuration());
  pace_.Asked();
  EXPECT_EQ(Arrive(10, absl::Microseconds(200)), absl::InfiniteDuration());
}

}  // namespace
}  // namespace kiln::ports
