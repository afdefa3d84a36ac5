#include "daemon/pipeline/recovery.h"

#include <string>
#include <vector>

#include "daemon/pipeline/step.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using storage::Deployment;
using storage::DeploymentState;
using v1::StepRecord;

// A row as the ledger holds it while `step` runs: everything before it has finished.
Deployment RowAt(v1::Step step, DeploymentState state = DeploymentState::kRunning) {
  Deployment row;
  row.id = "d";
  row.state = state;
  row.step = step;
  DeploymentDetails details;
  ResetSteps(details);
  for (StepRecord& record : *details.mutable_steps()) {
    if (record.step() < step) record.set_state(StepRecord::STATE_FINISHED);
    if (record.step() == step) record.set_state(StepRecord::STATE_RUNNING);
  }
  row.details = details.SerializeAsString();
  return row;
}

// The steps that are still to do, in order.
std::vector<v1::Step> LeftOf(DeploymentDetails details) {
  std::vector<v1::Step> left;
  for (v1::Step step = NextStep(details); step != v1::STEP_DONE; step = NextStep(details)) {
    left.push_back(step);
    RecordOf(details, step).set_state(StepRecord::STATE_FINISHED);
  }
  return left;
}

struct Case {
  v1::Step interrupted;
  std::vector<v1::Step> left;
};

TEST(RecoveryTest, FinishedStepsStayFinishedAndTheBoardIsReachedAgain) {
  const std::vector<v1::Step> all = {v1::STEP_PREPARE, v1::STEP_CONNECT, v1::STEP_IDENTIFY,
                                     v1::STEP_FLASH,   v1::STEP_VERIFY,  v1::STEP_BOOT,
                                     v1::STEP_CONFIRM, v1::STEP_EXPORT};
  const std::vector<v1::Step> no_flash = {v1::STEP_PREPARE, v1::STEP_CONNECT, v1::STEP_IDENTIFY,
                                          v1::STEP_VERIFY,  v1::STEP_BOOT,    v1::STEP_CONFIRM,
                                          v1::STEP_EXPORT};
  const std::vector<v1::Step> no_verify = {v1::STEP_PREPARE, v1::STEP_CONNECT, v1::STEP_IDENTIFY,
                                           v1::STEP_BOOT,    v1::STEP_CONFIRM, v1::STEP_EXPORT};
  const Case cases[] = {
      {v1::STEP_PREPARE, all},       {v1::STEP_CONNECT, all},
      {v1::STEP_IDENTIFY, all},      {v1::STEP_FLASH, all},
      {v1::STEP_VERIFY, no_flash},   {v1::STEP_BOOT, no_verify},
      {v1::STEP_CONFIRM, no_verify}, {v1::STEP_EXPORT, {v1::STEP_EXPORT}},
      {v1::STEP_DONE, {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(v1::Step_Name(c.interrupted));
    const RecoveryDecision decision = DecideRecovery(RowAt(c.interrupted));
    EXPECT_EQ(decision.action, RecoveryAction::kResume);
    EXPECT_EQ(decision.reenter, c.left.empty() ? v1::STEP_DONE : c.left.front());
    EXPECT_EQ(LeftOf(decision.details), c.left);
    EXPECT_EQ(decision.details.recoveries(), 1);
    EXPECT_TRUE(decision.details.interrupted());
  }
}

TEST(RecoveryTest, AfterAReplugTheImagesAreStillInMemory) {
  DeploymentDetails details;
  ASSERT_TRUE(details.ParseFromString(RowAt(v1::STEP_FLASH).details));
  EXPECT_EQ(PrepareReentry(details, Interruption::kReplug), v1::STEP_CONNECT);
}

TEST(RecoveryTest, EndedDeploymentsAreLeftAloneAtEveryStep) {
  for (const DeploymentState state :
       {DeploymentState::kSucceeded, DeploymentState::kFailed, DeploymentState::kCanceled,
        DeploymentState::kNeedsAttention}) {
    for (const StepTraits& traits : StepTable()) {
      EXPECT_EQ(DecideRecovery(RowAt(traits.step, state)).action, RecoveryAction::kNothing)
          << traits.name << " in state " << static_cast<int>(state);
    }
  }
}

TEST(RecoveryTest, ACancelIsHonouredAtEveryStepBeforeTheExport) {
  for (const StepTraits& traits : StepTable()) {
    Deployment row = RowAt(traits.step);
    row.cancel_requested = true;
    EXPECT_EQ(DecideRecovery(row).action,
              traits.step == v1::STEP_EXPORT ? RecoveryAction::kResume : RecoveryAction::kCancel)
        << traits.name;
  }
}

TEST(RecoveryTest, AFinishedBoardGetsItsRecordAlsoWhenTheCancelCameBeforeACleanStop) {
  for (const StepTraits& traits : StepTable()) {
    Deployment row = RowAt(traits.step, DeploymentState::kPending);
    DeploymentDetails details;
    ASSERT_TRUE(details.ParseFromString(row.details));
    details.set_interrupted(true);
    row.details = details.SerializeAsString();
    row.cancel_requested = true;
    EXPECT_EQ(DecideRecovery(row).action,
              traits.step == v1::STEP_EXPORT ? RecoveryAction::kResume : RecoveryAction::kCancel)
        << traits.name;
  }
}

TEST(RecoveryTest, AnInterruptedDeploymentMayBeTakenUpOnlySoOften) {
  for (const StepTraits& traits : StepTable()) {
    Deployment row = RowAt(traits.step);
    for (int i = 1; i <= kMaxRecoveries; ++i) {
      const RecoveryDecision decision = DecideRecovery(row);
      ASSERT_EQ(decision.action, RecoveryAction::kResume) << traits.name << ", recovery " << i;
      row.details = decision.details.SerializeAsString();
    }
    EXPECT_EQ(DecideRecovery(row).action, RecoveryAction::kNeedsAttention) << traits.name;
  }
}

TEST(RecoveryTest, InARestoredBackupOnlyAFinishedBoardGoesOn) {
  for (const StepTraits& traits : StepTable()) {
    EXPECT_EQ(
        DecideRecovery(RowAt(traits.step), /*restored=*/true).action,
        traits.step == v1::STEP_EXPORT ? RecoveryAction::kResume : RecoveryAction::kNeedsAttention)
        << traits.name;
  }
  Deployment waiting;
  waiting.state = DeploymentState::kPending;
  EXPECT_EQ(DecideRecovery(waiting, /*restored=*/true).action, RecoveryAction::kNeedsAttention);
  waiting.cancel_requested = true;
  EXPECT_EQ(DecideRecovery(waiting, /*restored=*/true).action, RecoveryAction::kCancel);
  waiting.state = DeploymentState::kSucceeded;
  EXPECT_EQ(DecideRecovery(waiting, /*restored=*/true).action, RecoveryAction::kNothing);
}

TEST(RecoveryTest, WaitingDeploymentsWaitOnOrGoOn) {
  Deployment row;
  row.state = DeploymentState::kPending;
  EXPECT_EQ(DecideRecovery(row).action, RecoveryAction::kQueue);
  row.cancel_requested = true;
  EXPECT_EQ(DecideRecovery(row).action, RecoveryAction::kCancel);
  // Drained in the middle: goes on, and a clean stop does not count as a crash.
  DeploymentDetails details;
  ASSERT_TRUE(details.ParseFromString(RowAt(v1::STEP_VERIFY).details));
  details.set_interrupted(true);
  row.cancel_requested = false;
  row.details = details.SerializeAsString();
  const RecoveryDecision decision = DecideRecovery(row);
  EXPECT_EQ(decision.action, RecoveryAction::kResume);
  EXPECT_EQ(decision.details.recoveries(), 0);
}

TEST(RecoveryTest, DetailsThatDoNotParseMeanDoingEverythingAgain) {
  Deployment row = RowAt(v1::STEP_EXPORT);
  row.details = "\xff\xff\xff";
  const RecoveryDecision decision = DecideRecovery(row);
  EXPECT_EQ(decision.action, RecoveryAction::kResume);
  EXPECT_EQ(decision.reenter, v1::STEP_PREPARE);
}

}  // namespace
}  // namespace kiln::pipeline
