#include "daemon/esp/port_profile.h"

#include <utility>

#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

TEST(PortProfileTest, RemembersTheResetThatWorked) {
  PortProfile profile;
  EXPECT_EQ(profile.last_reset(), "");
  profile.ResetWorked("Classic 50 ms");
  EXPECT_EQ(profile.last_reset(), "Classic 50 ms");
}

TEST(PortProfileTest, StartsHighStaysLowAfterAFailureAndTriesTheHighRateAgain) {
  PortProfile profile;
  EXPECT_EQ(profile.RateToTry(2'000'000), 2'000'000u);
  profile.RateFailed(921'600);
  for (int board = 1; board < 8; ++board) {
    EXPECT_EQ(profile.RateToTry(2'000'000), 921'600u) << board;
    profile.RateWorked(921'600);
  }
  EXPECT_EQ(profile.RateToTry(2'000'000), 2'000'000u);
  profile.RateFailed(921'600);  // it still does not carry
  EXPECT_EQ(profile.RateToTry(2'000'000), 921'600u);
}

TEST(PortProfileTest, ForgetsAFailureOnceTheHighRateWorks) {
  PortProfile profile;
  profile.RateFailed(921'600);
  profile.RateWorked(2'000'000);
  EXPECT_EQ(profile.RateToTry(2'000'000), 2'000'000u);
}

TEST(PortProfileTest, NeverGoesAboveWhatIsWanted) {
  PortProfile profile;
  profile.RateFailed(921'600);
  EXPECT_EQ(profile.RateToTry(460'800), 460'800u);
}

TEST(PortProfilesTest, KeepsOneForEachPort) {
  PortProfiles profiles;
  profiles.Configure("A1", {.baud_rate = 460'800});
  EXPECT_EQ(profiles.Of("A1").settings().baud_rate, 460'800u);
  EXPECT_EQ(profiles.Of("B1").settings().baud_rate, 0u);
  EXPECT_EQ(&profiles.Of("B1"), &profiles.Of("B1"));
  EXPECT_NE(&profiles.Of("B1"), &profiles.Of("A1"));
}

}  // namespace
}  // namespace kiln::esp
