// That a client of the station is told of boards that come and go, and is told in time where
// nothing else takes the machine's. Runs under umockdev-wrapper.
#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "tests/usb/watched_station.h"

namespace kiln {
namespace {

// The promise is 300 ms by event and a second by the scan; kiln-watch-bench measures it. A test
// runs on machines that do ten other things, and asks only whether it is told at all.
constexpr absl::Duration kGenerous = absl::Seconds(30);

TEST(WatchLatencyTest, AClientIsToldOfBoardsByEvents) {
  WatchedStation station;
  for (int i = 0; i < 5; ++i) {
    const auto arrival = station.TimeArrival("1-4");
    ASSERT_TRUE(arrival.has_value());
    EXPECT_LT(*arrival, kGenerous);
    const auto absence = station.TimeAbsence("1-4");
    ASSERT_TRUE(absence.has_value());
    EXPECT_LT(*absence, kGenerous);
  }
}

TEST(WatchLatencyTest, AClientIsToldOfBoardsByTheScanWhereNoEventsCome) {
  WatchedStation station;
  station.LoseEvents();
  for (int i = 0; i < 2; ++i) {
    const auto arrival = station.TimeArrival("1-4");
    ASSERT_TRUE(arrival.has_value());
    EXPECT_LT(*arrival, kGenerous);
    const auto absence = station.TimeAbsence("1-4");
    ASSERT_TRUE(absence.has_value());
    EXPECT_LT(*absence, kGenerous);
  }
}

}  // namespace
}  // namespace kiln
