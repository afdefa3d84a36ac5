// kill -9 at every point where something has just become durable or is about to: after the restart
// every accepted deployment ends as it should, once.
#include <algorithm>
#include <string>

#include "daemon/pipeline/pipeline_fixture.h"
#include "daemon/pipeline/recovery.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using storage::Deployment;
using storage::DeploymentState;
using ::testing::SizeIs;

class CrashTest : public PipelineFixture {
 protected:
  int CountOf(const std::string& id, DeploymentState state) {
    const auto history = History(id);
    return static_cast<int>(std::count(history.begin(), history.end(), state));
  }
};

class CrashAtTest : public CrashTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(CrashAtTest, GoesOnAfterTheRestartAndSucceedsOnce) {
  PlugBoard("p1", 1);
  StartStation();
  CrashAt(GetParam());
  const Deployment row = Deploy("p1");
  AwaitCrash();
  Restart();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_code << ": " << end.error_detail;
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(end.attempt, 1);
  EXPECT_EQ(CountOf(row.id, DeploymentState::kSucceeded), 1);
  EXPECT_THAT(Records(), SizeIs(1)) << "one record, not one for each try";
  EXPECT_TRUE(files_.Exists(end.record_path));
  EXPECT_TRUE(real_ledger_->Verify()->ok);
}

TEST_P(CrashAtTest, StopsAtAnotherBoardOnceItsOwnIsKnown) {
  PlugBoard("p1", 1);
  StartStation();
  CrashAt(GetParam());
  const Deployment row = Deploy("p1");
  AwaitCrash();
  StopStation();
  const Deployment left = Get(row.id);
  registry_.Unplug("p1");
  const auto first = std::move(boards_["p1"]);
  PlugBoard("p1", 2);
  Restart();
  const Deployment end = AwaitEnd(row.id);
  if (left.mac.empty() || left.step == v1::STEP_EXPORT) {
    EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
    EXPECT_EQ(end.mac, left.mac.empty() ? MacOf(2) : MacOf(1));
    return;
  }
  EXPECT_EQ(end.state, DeploymentState::kNeedsAttention) << end.error_detail;
  EXPECT_EQ(end.error_code, "BOARD_SWAPPED");
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Points, CrashAtTest,
                         ::testing::Values("prepare:enter", "prepare:leave", "connect:enter",
                                           "connect:leave", "identify:enter", "identify:leave",
                                           "flash:enter", "flash:half", "flash:leave",
                                           "verify:enter", "verify:leave", "boot:enter",
                                           "boot:leave", "confirm:enter", "confirm:leave",
                                           "export:enter", "export:leave", "outcome:enter"));

TEST_F(CrashTest, FailpointsAreWhereTheyAreSaidToBe) {
  PlugBoard("p1", 1);
  StartStation();
  AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);
  absl::MutexLock lock(&mutex_);
  // accept:enter and accept:leave, eight steps with two each, flash:half, outcome:enter.
  EXPECT_THAT(points_, SizeIs(2 + 16 + 1 + 1));
}

TEST_F(CrashTest, WaitsForTheBoardWhenItIsGoneAfterTheRestart) {
  PlugBoard("p1", 1);
  StartStation();
  CrashAt("flash:half");
  const Deployment row = Deploy("p1");
  AwaitCrash();
  StopStation();
  registry_.Unplug("p1");
  Restart();
  EXPECT_EQ(Get(row.id).state, DeploymentState::kPending);
  registry_.Plug("p1", &BoardAt("p1"));
  EXPECT_EQ(AwaitEnd(row.id).state, DeploymentState::kSucceeded);
}

TEST_F(CrashTest, TheRecordIsWrittenWithoutTheBoard) {
  PlugBoard("p1", 1);
  StartStation();
  CrashAt("export:enter");
  const Deployment row = Deploy("p1");
  AwaitCrash();
  StopStation();
  registry_.Unplug("p1");
  Restart();
  EXPECT_EQ(AwaitEnd(row.id).state, DeploymentState::kSucceeded);
}

TEST_F(CrashTest, ACancelBeforeTheCrashHoldsAfterIt) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("flash:half");
  CrashAt("flash:half");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  ASSERT_TRUE(scheduler_->Cancel(row.id).ok());
  Resume();
  AwaitCrash();
  Restart();
  EXPECT_EQ(Get(row.id).state, DeploymentState::kCanceled);
}

TEST_F(CrashTest, ADeploymentThatKeepsCrashingTheDaemonIsLeftToAPerson) {
  PlugBoard("p1", 1);
  StartStation();
  CrashAt("flash:enter");
  const Deployment row = Deploy("p1");
  for (int i = 0; i < kMaxRecoveries; ++i) {
    AwaitCrash();
    StopStation();
    {
      absl::MutexLock lock(&mutex_);
      crashed_ = false;
      crash_count_ = 1;
    }
    StartStation();
  }
  AwaitCrash();
  Restart();
  const Deployment end = Get(row.id);
  EXPECT_EQ(end.state, DeploymentState::kNeedsAttention);
  EXPECT_EQ(end.error_code, "OUTCOME_UNKNOWN") << end.error_detail;
  // A person looks at it and says go.
  ASSERT_TRUE(scheduler_->Retry(row.id, "retry").ok());
  EXPECT_EQ(AwaitEnd(row.id).state, DeploymentState::kSucceeded);
}

TEST_F(CrashTest, OrdersThatWaitedStillWaitInTheirOrder) {
  registry_.AddPort("p1");
  StartStation();
  const Deployment first = Deploy("p1");
  const Deployment second = Deploy("p1");
  Restart();
  HoldAt("prepare:enter");
  PlugBoard("p1", 1);
  AwaitHeld();
  EXPECT_EQ(scheduler_->RunningOn("p1"), first.id);
  EXPECT_EQ(Get(second.id).state, DeploymentState::kPending);
  Resume();
  EXPECT_EQ(AwaitEnd(second.id).state, DeploymentState::kSucceeded);
}

}  // namespace
}  // namespace kiln::pipeline
