#include "daemon/pipeline/progress.h"

#include <vector>

#include "base/fake_clock.h"
#include "daemon/pipeline/step.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

class ProgressTest : public ::testing::Test {
 protected:
  base::FakeClock clock_;
  std::vector<v1::Progress> sent_;
  ProgressTracker::Sink sink_ = [this](const v1::Progress& p) { sent_.push_back(p); };
};

TEST_F(ProgressTest, TheTableCoversZeroToOneHundredWithoutGaps) {
  int at = 0;
  for (const StepTraits& traits : StepTable()) {
    EXPECT_EQ(traits.progress_begin, at) << traits.name;
    EXPECT_GT(traits.progress_end, traits.progress_begin) << traits.name;
    at = traits.progress_end;
  }
  EXPECT_EQ(at, 100);
}

TEST_F(ProgressTest, NeverGoesBackWhenAStepRunsAgain) {
  ProgressTracker tracker("d", 0, clock_, sink_);
  tracker.Enter(v1::STEP_FLASH);
  tracker.Report(50, 100);
  EXPECT_EQ(tracker.percent(), 8 + 31);
  tracker.Enter(v1::STEP_CONNECT);
  EXPECT_EQ(tracker.percent(), 39);
  tracker.Enter(v1::STEP_FLASH);
  tracker.Report(0, 100);
  EXPECT_EQ(tracker.percent(), 39);
}

TEST_F(ProgressTest, BeginsWhereTheLedgerLeftOff) {
  ProgressTracker tracker("d", 42, clock_, sink_);
  tracker.Enter(v1::STEP_PREPARE);
  EXPECT_EQ(tracker.percent(), 42);
}

TEST_F(ProgressTest, SendsAtMostTenTimesASecondAndAlwaysTheLast) {
  ProgressTracker tracker("d", 0, clock_, sink_);
  tracker.Enter(v1::STEP_FLASH);
  for (int i = 0; i <= 1000; ++i) {
    tracker.Report(static_cast<uint64_t>(i), 1000);
    clock_.Advance(absl::Milliseconds(1));
  }
  EXPECT_GE(sent_.size(), 10u);
  EXPECT_LE(sent_.size(), 13u);
  EXPECT_EQ(sent_.back().done_bytes(), 1000u);
  EXPECT_EQ(sent_.back().bytes_per_second(), 1000u);
  EXPECT_EQ(sent_.back().deployment(), "deployments/d");
}

TEST_F(ProgressTest, StoresEveryTenPercent) {
  ProgressTracker tracker("d", 0, clock_, sink_);
  tracker.Enter(v1::STEP_FLASH);
  tracker.Stored();
  int stored = 0;
  for (int i = 0; i <= 1000; ++i) {
    tracker.Report(static_cast<uint64_t>(i), 1000);
    if (!tracker.durable_due()) continue;
    tracker.Stored();
    ++stored;
  }
  EXPECT_EQ(stored, 6) << "62 percent of the whole are the flash's";
}

TEST_F(ProgressTest, NothingToDoIsNotADivision) {
  ProgressTracker tracker("d", 0, clock_, nullptr);
  tracker.Enter(v1::STEP_VERIFY);
  tracker.Report(0, 0);
  EXPECT_EQ(tracker.percent(), 70);
}

}  // namespace
}  // namespace kiln::pipeline
