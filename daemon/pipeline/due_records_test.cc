// The records of deployments that did not succeed: one each, whatever comes between their end and
// the disk.
#include "daemon/pipeline/due_records.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "daemon/pipeline/recovery.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace kiln::pipeline {
namespace {

using storage::Deployment;
using storage::DeploymentState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class DueRecordsTest : public PipelineFixture {
 protected:
  static constexpr char kFailedFolder[] = "/export/failed";

  // A deployment that fails at identify.
  Deployment DeployToASecuredBoard() {
    PlugBoard("p1", 1).SetFaults({.secure_boot = true});
    StartStation();
    return Deploy("p1");
  }
  // A deployment that is stopped with half an image on its board.
  Deployment DeployAndHoldHalfWritten() {
    PlugBoard("p1", 1);
    StartStation();
    HoldAt("flash:half");
    const Deployment row = Deploy("p1");
    AwaitHeld();
    return row;
  }
  void AwaitIdle() { EXPECT_TRUE(scheduler_->Drain(absl::Minutes(5)).ok()); }

  std::vector<storage::DueRecord> Due() {
    const auto due = real_ledger_->FindDueRecords(100);
    EXPECT_TRUE(due.ok()) << due.status();
    return due.ok() ? *due : std::vector<storage::DueRecord>();
  }
  // The one record of the failed; the test fails when there are more or none.
  nlohmann::json OnlyRecord() {
    const std::vector<std::string> names = Records(kFailedFolder);
    EXPECT_THAT(names, SizeIs(1));
    if (names.size() != 1) return nlohmann::json::object();
    const std::string text = RecordText(absl::StrCat(kFailedFolder, "/", names[0]));
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
};

TEST_F(DueRecordsTest, NothingIsDueOnceTheRecordIsOnDisk) {
  const Deployment end = AwaitEnd(DeployToASecuredBoard().id);
  AwaitIdle();
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  const nlohmann::json record = OnlyRecord();
  EXPECT_EQ(record["kiln"]["deployment_id"], end.id);
  EXPECT_EQ(record["kiln"]["sequence"]["last"], end.sequence);
  EXPECT_THAT(Due(), IsEmpty());
}

TEST_F(DueRecordsTest, ASuccessIsNeverDue) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("outcome:enter");
  Deploy("p1");
  AwaitHeld();
  Resume();
  AwaitIdle();
  EXPECT_THAT(Due(), IsEmpty());
  EXPECT_THAT(Records(kFailedFolder), IsEmpty());
}

TEST_F(DueRecordsTest, WhatFoundAFullDiskIsWrittenAfterTheNextEndWithItsOwnAttemptsFacts) {
  const Deployment row = DeployToASecuredBoard();
  files_.FailWritesAfter(0, absl::ResourceExhaustedError("no space left"));
  const Deployment failed = AwaitEnd(row.id);
  EXPECT_EQ(failed.error_code, "CHIP_SECURED") << failed.error_detail;
  AwaitIdle();
  EXPECT_THAT(Due(), SizeIs(1));
  files_.FailWritesAfter(0, absl::OkStatus());
  // The next attempt goes on with another board, and succeeds.
  StopStation();
  registry_.Unplug("p1");
  boards_.clear();
  PlugBoard("p1", 2);
  files_.FailWritesAfter(0, absl::ResourceExhaustedError("no space left"));
  StartStation();
  HoldAt("export:enter");
  ASSERT_TRUE(scheduler_->Retry(row.id, "retry").ok());
  AwaitHeld();
  EXPECT_THAT(Due(), SizeIs(1));
  files_.FailWritesAfter(0, absl::OkStatus());
  Resume();
  EXPECT_EQ(AwaitEnd(row.id).state, DeploymentState::kSucceeded);
  AwaitIdle();
  EXPECT_THAT(Due(), IsEmpty());
  const nlohmann::json record = OnlyRecord();
  EXPECT_EQ(record["kiln"]["attempt"], 1);
  EXPECT_THAT(record.dump(), HasSubstr("CHIP_SECURED"));
  EXPECT_THAT(record.dump(), Not(HasSubstr(MacOf(2))));
}

TEST_F(DueRecordsTest, AMarkThatCannotBeClearedMakesNoSecondFile) {
  HoldAt("failed-record:leave");
  DeployToASecuredBoard();
  AwaitHeld();
  ledger_->RefuseNext(absl::UnavailableError("refused"));
  Resume();
  AwaitIdle();
  EXPECT_THAT(Due(), SizeIs(1));
  Restart();
  EXPECT_THAT(Due(), IsEmpty());
  OnlyRecord();
}

TEST_F(DueRecordsTest, AnInterruptedDeploymentThatIsCancelledWhileItWaitsHasARecord) {
  const Deployment row = DeployAndHoldHalfWritten();
  registry_.Unplug("p1");
  scheduler_->Drain(absl::ZeroDuration()).IgnoreError();
  Resume();
  StopStation();
  StartStation();
  EXPECT_EQ(Get(row.id).state, DeploymentState::kPending);
  ASSERT_TRUE(scheduler_->Cancel(row.id).ok());
  EXPECT_EQ(OnlyRecord()["kiln"]["deployment_id"], row.id);
  EXPECT_THAT(Due(), IsEmpty());
}

TEST_F(DueRecordsTest, AnOrderThatIsCancelledBeforeAnythingWasWrittenHasNone) {
  registry_.AddPort("p1");
  StartStation();
  ASSERT_TRUE(scheduler_->Cancel(Deploy("p1").id).ok());
  EXPECT_THAT(Due(), IsEmpty());
  EXPECT_THAT(Records(kFailedFolder), IsEmpty());
}

// ---- kill -9 between the end and its record -----------------------------------------------------

class DueRecordsCrashTest : public DueRecordsTest,
                            public ::testing::WithParamInterface<const char*> {
 protected:
  // After the crash: the end stands, and its record is there once, however often the daemon starts.
  void ExpectOneRecordAfterTheRestart(const std::string& id, DeploymentState state) {
    Restart();
    const Deployment end = Get(id);
    EXPECT_EQ(end.state, state) << end.error_code << ": " << end.error_detail;
    EXPECT_EQ(end.attempt, 1);
    const nlohmann::json record = OnlyRecord();
    EXPECT_EQ(record["kiln"]["deployment_id"], id);
    EXPECT_EQ(record["kiln"]["sequence"]["last"], end.sequence);
    EXPECT_THAT(Due(), IsEmpty());
    Restart();
    OnlyRecord();
    EXPECT_TRUE(real_ledger_->Verify()->ok);
  }
};

TEST_P(DueRecordsCrashTest, AFailureHasItsRecordOnce) {
  CrashAt(GetParam());
  const Deployment row = DeployToASecuredBoard();
  AwaitCrash();
  EXPECT_EQ(Get(row.id).state, DeploymentState::kFailed);
  ExpectOneRecordAfterTheRestart(row.id, DeploymentState::kFailed);
}

TEST_P(DueRecordsCrashTest, ACancelledHalfWrittenBoardHasItsRecordOnce) {
  const Deployment row = DeployAndHoldHalfWritten();
  CrashAt(GetParam());
  ASSERT_TRUE(scheduler_->Cancel(row.id).ok());
  Resume();
  AwaitCrash();
  EXPECT_EQ(Get(row.id).state, DeploymentState::kCanceled);
  ExpectOneRecordAfterTheRestart(row.id, DeploymentState::kCanceled);
}

TEST_P(DueRecordsCrashTest, ACancelThatTheRestartCarriesOutHasItsRecordOnce) {
  const Deployment row = DeployAndHoldHalfWritten();
  CrashAt("flash:half");
  ASSERT_TRUE(scheduler_->Cancel(row.id).ok());
  Resume();
  AwaitCrash();
  RestartAndCrashAt(GetParam());
  ExpectOneRecordAfterTheRestart(row.id, DeploymentState::kCanceled);
}

TEST_P(DueRecordsCrashTest, ADeploymentThatIsLeftToAPersonHasItsRecordOnce) {
  PlugBoard("p1", 1);
  StartStation();
  CrashAt("flash:enter");
  const Deployment row = Deploy("p1");
  AwaitCrash();
  for (int i = 0; i < kMaxRecoveries; ++i) RestartAndCrashAt("flash:enter");
  RestartAndCrashAt(GetParam());
  ExpectOneRecordAfterTheRestart(row.id, DeploymentState::kNeedsAttention);
  EXPECT_THAT(OnlyRecord().dump(), HasSubstr("OUTCOME_UNKNOWN"));
}

TEST_P(DueRecordsCrashTest, TheStartThatWritesItMayDieToo) {
  CrashAt("failed-record:enter");
  const Deployment row = DeployToASecuredBoard();
  AwaitCrash();
  RestartAndCrashAt(GetParam());
  RestartAndCrashAt(GetParam());
  ExpectOneRecordAfterTheRestart(row.id, DeploymentState::kFailed);
}

INSTANTIATE_TEST_SUITE_P(Points, DueRecordsCrashTest,
                         ::testing::Values("failed-record:enter", "failed-record:leave"));

}  // namespace
}  // namespace kiln::pipeline
