// What goes wrong at a bench: each in its own clear error, and never a wrong success.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "daemon/pipeline/step.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using storage::Deployment;
using storage::DeploymentState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class SchedulerFaultTest : public PipelineFixture {
 protected:
  Deployment RunWith(const simulator::Faults& faults) {
    PlugBoard("p1", 1).SetFaults(faults);
    StartStation();
    return AwaitEnd(Deploy("p1").id);
  }
};

TEST_F(SchedulerFaultTest, RefusesTheWrongChipAndTakesTheRightBoardAtTheNextTry) {
  PlugBoard("p1", 1, esp::Chip::kEsp32S3);
  StartStation();
  const Deployment failed = AwaitEnd(Deploy("p1").id);
  EXPECT_EQ(failed.state, DeploymentState::kFailed);
  EXPECT_EQ(failed.error_code, "CHIP_MISMATCH");
  EXPECT_THAT(failed.error_detail, HasSubstr("ESP32-S3"));
  EXPECT_EQ(failed.step, v1::STEP_IDENTIFY);
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, 0u);
  registry_.Unplug("p1");
  ASSERT_TRUE(scheduler_->Retry(failed.id, "retry").ok());
  PlugBoard("p1", 2);
  const Deployment end = AwaitEnd(failed.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
  EXPECT_EQ(end.mac, MacOf(2));
}

TEST_F(SchedulerFaultTest, RefusesASecuredChip) {
  const Deployment end = RunWith({.secure_boot = true});
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "CHIP_SECURED") << end.error_detail;
}

TEST_F(SchedulerFaultTest, NeverSucceedsWithAWrongMd5) {
  const Deployment end = RunWith({.wrong_md5_answers = -1});
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "FLASH_VERIFY_FAILED") << end.error_detail;
  EXPECT_THAT(Records(), SizeIs(0));
}

TEST_F(SchedulerFaultTest, NeverSucceedsWhenTheBoardReportsAnotherMac) {
  const Deployment end = RunWith({.identity_mac = "7c:df:a1:00:00:99"});
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "IDENTITY_MISMATCH") << end.error_detail;
  EXPECT_THAT(Records(), SizeIs(0));
}

TEST_F(SchedulerFaultTest, NeverSucceedsWhenTheBoardReportsAnotherCustomer) {
  const Deployment end = RunWith({.identity_customer = "OTHER1"});
  EXPECT_EQ(end.error_code, "IDENTITY_MISMATCH") << end.error_detail;
}

TEST_F(SchedulerFaultTest, ABoardThatEchoesItsPasswordDoesNotBlockItsPort) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("boot:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  const std::string password = Get(row.id).wifi_password;
  ASSERT_GE(password.size(), 12u);
  BoardAt("p1").SetFaults({.identity_customer = password});
  Resume();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "IDENTITY_MISMATCH") << end.error_detail;
  EXPECT_THAT(end.error_detail, HasSubstr("customer_id is [redacted] instead of BGK001"));
}

TEST_F(SchedulerFaultTest, AnEndThatTheLedgerRefusesIsStoredWithAFixedDetail) {
  PlugBoard("p1", 1).SetFaults({.secure_boot = true});
  StartStation();
  HoldAt("outcome:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  ledger_->RefuseNext(absl::InternalError("refused for what it holds"));
  Resume();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "CHIP_SECURED");
  EXPECT_THAT(end.error_detail, HasSubstr("the ledger refused the details"));
}

TEST_F(SchedulerFaultTest, ASilentProgramIsNotConfirmed) {
  options_.timeouts.confirm = absl::Seconds(3);
  const Deployment end = RunWith({.no_identity_line = true});
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "BOARD_NOT_CONFIRMED") << end.error_detail;
  EXPECT_EQ(end.step, v1::STEP_CONFIRM);
}

TEST_F(SchedulerFaultTest, ACleanBootIsEnoughWhereNoReportIsAskedFor) {
  options_.confirm.serial = false;
  options_.confirm.clean_boot_window = absl::Seconds(2);
  EXPECT_EQ(RunWith({.no_identity_line = true}).state, DeploymentState::kSucceeded);
}

TEST_F(SchedulerFaultTest, AStartOfTheLoaderIsNoCleanBoot) {
  for (const bool report_required : {false, true}) {
    options_.confirm.serial = report_required;
    options_.confirm.clean_boot_window = options_.timeouts.confirm = absl::Seconds(3);
    PlugBoard("p1", 1);
    StartStation();
    HoldAt("boot:enter");
    const Deployment row = Deploy("p1");
    AwaitHeld();
    BoardAt("p1").SetFaults({.boot_held = true});
    Resume();
    const Deployment end = AwaitEnd(row.id);
    EXPECT_EQ(end.state, DeploymentState::kFailed) << report_required;
    EXPECT_EQ(end.error_code, "BOARD_DID_NOT_BOOT") << end.error_detail;
    EXPECT_THAT(end.error_detail, HasSubstr("starts its loader")) << report_required;
    StopStation();
  }
}

TEST_F(SchedulerFaultTest, ABootLoopIsSeenWithOrWithoutReport) {
  PlugBoard("p1", 1);
  StartStation();
  // What was verified is spoiled before the board starts from it.
  HoldAt("boot:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  BoardAt("p1").WithBoard(
      [](simulator::SimulatedBoard& board) { board.flash_memory().EraseSector(0x10000); });
  Resume();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "BOARD_DID_NOT_BOOT") << end.error_detail;
}

TEST_F(SchedulerFaultTest, ADeadLoaderIsSilentAndDoesNotHoldTheStation) {
  const Deployment end = RunWith({.dead_loader = true});
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_TRUE(end.error_code == "BOARD_SILENT" || end.error_code == "STEP_TIMED_OUT")
      << end.error_code << ": " << end.error_detail;
  EXPECT_EQ(end.step, v1::STEP_CONNECT);
}

TEST_F(SchedulerFaultTest, AStepThatTakesTooLongIsNamed) {
  options_.timeouts.connect = absl::Milliseconds(500);
  const Deployment end = RunWith({.dead_loader = true});
  EXPECT_EQ(end.error_code, "STEP_TIMED_OUT") << end.error_detail;
  EXPECT_THAT(end.error_detail, HasSubstr("connect took longer than 500ms"));
}

TEST_F(SchedulerFaultTest, AStepThatEndsWellButTooLateHasTimedOut) {
  options_.timeouts.verify = absl::Seconds(10);
  on_progress_ = [this](const v1::Progress& progress) {
    // Everything is checked; until the step returns, its time runs out.
    if (progress.step() == v1::STEP_VERIFY && progress.done_bytes() > 0 &&
        progress.done_bytes() == progress.total_bytes()) {
      clock_.Sleep(absl::Seconds(12));
    }
  };
  const Deployment end = RunWith({});
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "STEP_TIMED_OUT") << end.error_detail;
  EXPECT_EQ(end.step, v1::STEP_VERIFY);
}

TEST_F(SchedulerFaultTest, HttpConfirmationIsTriedFiveTimesAndComparesTheMac) {
  options_.confirm.http = true;
  const absl::Status no = errors::MakeError(errors::ErrorCode::kBoardNetworkUnreachable, "no");
  const std::string mine =
      absl::StrCat(R"({"mac_address":")", MacOf(1), R"(","customer_id":"BGK001","status":"ok"})");
  http_.Answer({no, no, no, no, mine});
  EXPECT_EQ(RunWith({}).state, DeploymentState::kSucceeded);
  EXPECT_THAT(http_.asked(), SizeIs(5));
  EXPECT_EQ(http_.asked().front(), "http://192.168.4.1/mac");
}

TEST_F(SchedulerFaultTest, MeasuresIdentificationTheNetworkAndWhereAttemptsEnded) {
  auto metrics = telemetry::PrometheusMetrics::Create({}, clock_);
  const telemetry::PrometheusMetrics& shown = *metrics;
  metrics_ = std::move(metrics);
  options_.confirm.http = true;
  options_.confirm.http_tries = 2;
  const absl::Status no = errors::MakeError(errors::ErrorCode::kBoardNetworkUnreachable, "no");
  http_.Answer({no});
  const Deployment failed = RunWith({});
  EXPECT_EQ(failed.step, v1::STEP_CONFIRM) << failed.error_detail;
  EXPECT_THAT(shown.Expose(), HasSubstr("kiln_device_identify_seconds_count 1\n"));
  EXPECT_THAT(shown.Expose(), HasSubstr("kiln_device_network_up 0\n"));
  http_.Answer({absl::StrCat(R"({"mac_address":")", MacOf(1),
                             R"(","customer_id":"BGK001","status":"ok"})")});
  ASSERT_TRUE(scheduler_->Retry(failed.id, "retry").ok());
  EXPECT_EQ(AwaitEnd(failed.id).state, DeploymentState::kSucceeded);
  const std::string text = shown.Expose();
  EXPECT_THAT(text, HasSubstr("kiln_device_identify_seconds_count 2\n"));
  EXPECT_THAT(text, HasSubstr("kiln_device_network_up 1\n"));
  EXPECT_THAT(text, HasSubstr("kiln_job_retries_total{stage=\"confirm\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kiln_job_retries_total{stage=\"none\"} 0\n"));
  StopStation();  // it reports to `shown`
}

TEST_F(SchedulerFaultTest, HttpAnswerOfAnotherBoardIsAMismatch) {
  options_.confirm.http = true;
  http_.Answer(
      {std::string(R"({"mac_address":"7c:df:a1:00:00:99","customer_id":"BGK001","status":"ok"})")});
  EXPECT_EQ(RunWith({}).error_code, "IDENTITY_MISMATCH");
}

TEST_F(SchedulerFaultTest, HttpSilenceIsUnreachable) {
  options_.confirm.http = true;
  const Deployment end = RunWith({});
  EXPECT_EQ(end.error_code, "BOARD_NETWORK_UNREACHABLE") << end.error_detail;
  EXPECT_THAT(http_.asked(), SizeIs(5));
}

TEST_F(SchedulerFaultTest, ARetryBelongsToTheBoardThatWasWrittenTo) {
  options_.timeouts.confirm = absl::Seconds(3);
  const Deployment failed = RunWith({.no_identity_line = true});
  EXPECT_EQ(failed.error_code, "BOARD_NOT_CONFIRMED") << failed.error_detail;
  registry_.Unplug("p1");
  const auto first = std::move(boards_["p1"]);
  PlugBoard("p1", 2);
  ASSERT_TRUE(scheduler_->Retry(failed.id, "retry-1").ok());
  const Deployment swapped = AwaitEnd(failed.id);
  EXPECT_EQ(swapped.state, DeploymentState::kNeedsAttention);
  EXPECT_EQ(swapped.error_code, "BOARD_SWAPPED") << swapped.error_detail;
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, 0u);
  EXPECT_TRUE(scheduler_->Drain(absl::Minutes(5)).ok());
  registry_.Unplug("p1");
  first->SetFaults({});
  registry_.Plug("p1", first.get());
  Restart();
  ASSERT_TRUE(scheduler_->Retry(failed.id, "retry-2").ok());
  const Deployment end = AwaitEnd(failed.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(end.attempt, 3);
  StopStation();  // `first` goes before the fixture does
}

class UnplugTest : public SchedulerFaultTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // Takes the board away at the step; the deployment then waits for it.
  Deployment UnplugAtStep() {
    PlugBoard("p1", 1);
    StartStation();
    HoldAt(GetParam());
    const Deployment row = Deploy("p1");
    AwaitHeld();
    BoardAt("p1").Unplug();
    registry_.Unplug("p1");
    return row;
  }
};

TEST_P(UnplugTest, GoesOnWhenTheSameBoardComesBack) {
  const Deployment row = UnplugAtStep();
  Resume();
  BoardAt("p1").Replug();
  registry_.Plug("p1", &BoardAt("p1"));
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_code << ": " << end.error_detail;
  EXPECT_EQ(end.attempt, 1);
  EXPECT_THAT(Records(), SizeIs(1));
}

TEST_P(UnplugTest, FailsWhenNoBoardComesBack) {
  options_.replug_window = absl::Seconds(1);
  const Deployment row = UnplugAtStep();
  Resume();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  // Before it was opened, nobody can tell whether it was ever there.
  EXPECT_EQ(end.error_code,
            GetParam() == std::string("connect:enter") ? "BOARD_NOT_FOUND" : "BOARD_UNPLUGGED")
      << end.error_detail;
  // The record follows the outcome; the worker is idle once it is written.
  EXPECT_TRUE(scheduler_->Drain(absl::Minutes(5)).ok());
  EXPECT_THAT(Records("/export/failed"), SizeIs(1));
}

TEST_P(UnplugTest, StopsWhenAnotherBoardComes) {
  const Deployment row = UnplugAtStep();
  const Deployment at_unplug = Get(row.id);
  const auto first = std::move(boards_["p1"]);
  PlugBoard("p1", 2);
  Resume();
  const Deployment end = AwaitEnd(row.id);
  if (at_unplug.mac.empty()) {
    // Nobody knew yet which board it would be.
    EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
    EXPECT_EQ(end.mac, MacOf(2));
    return;
  }
  EXPECT_EQ(end.state, DeploymentState::kNeedsAttention) << end.error_detail;
  EXPECT_EQ(end.error_code, "BOARD_SWAPPED");
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Steps, UnplugTest,
                         ::testing::Values("connect:enter", "identify:enter", "flash:enter",
                                           "flash:half", "verify:enter", "boot:enter",
                                           "confirm:enter"));

TEST_F(SchedulerFaultTest, AFullDiskFailsTheExportAndARetryFinishesIt) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("export:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  files_.FailWritesAfter(0, absl::ResourceExhaustedError("no space left"));
  Resume();
  const Deployment failed = AwaitEnd(row.id);
  EXPECT_EQ(failed.state, DeploymentState::kFailed);
  EXPECT_EQ(failed.step, v1::STEP_EXPORT);
  EXPECT_EQ(failed.error_code, "DISK_FULL") << failed.error_detail;
  files_.FailWritesAfter(0, absl::OkStatus());
  ASSERT_TRUE(scheduler_->Retry(row.id, "retry").ok());
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
  EXPECT_EQ(end.wifi_password, failed.wifi_password);
  EXPECT_THAT(Records(), SizeIs(1));
}

TEST_F(SchedulerFaultTest, ARetryAfterAFailedExportNeedsNoBoardAndMakesOneRecord) {
  PlugBoard("p1", 1);
  StartStation();
  ASSERT_TRUE(files_.CreateDirectories("/export", 0750).ok());
  HoldAt("export:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  // The JSON gets onto the disk, the line of the CSV does not.
  files_.FailWritesAfter(1, absl::ResourceExhaustedError("no space left"));
  Resume();
  const Deployment failed = AwaitEnd(row.id);
  EXPECT_EQ(failed.error_code, "DISK_FULL") << failed.error_detail;
  const auto written = BoardAt("p1").statistics();
  registry_.Unplug("p1");
  files_.FailWritesAfter(0, absl::OkStatus());
  ASSERT_TRUE(scheduler_->Retry(row.id, "retry").ok());
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
  EXPECT_EQ(end.attempt, 2);
  EXPECT_EQ(end.mac, MacOf(1));
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, written.programmed_bytes);
  EXPECT_THAT(Records(), SizeIs(1));
  EXPECT_THAT(end.record_path, Not(HasSubstr("-2.json")));
  DeploymentDetails details;
  ASSERT_TRUE(details.ParseFromString(end.details));
  EXPECT_GT(details.flash().written_bytes(), 0u);
}

TEST_F(SchedulerFaultTest, AReadOnlyExportFolderIsARecordThatCannotBeWritten) {
  PlugBoard("p1", 1);
  StartStation();
  files_.FailWritesAfter(0, absl::PermissionDeniedError("read-only file system"));
  EXPECT_EQ(AwaitEnd(Deploy("p1").id).error_code, "RECORD_WRITE_FAILED");
}

TEST_F(SchedulerFaultTest, ALedgerThatFailsInTheMiddleStopsTheStepAndKeepsTheOutcome) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("identify:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  ledger_->FailWrites(true);
  Resume();
  // The entry of flash is refused, then the outcome again and again.
  while (ledger_->refused() < 3) base::SystemClock().Sleep(absl::Milliseconds(5));
  EXPECT_EQ(Get(row.id).state, DeploymentState::kRunning) << "nothing is reported that is not kept";
  EXPECT_EQ(scheduler_->RunningOn("p1"), row.id) << "takes no other work";
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, 0u) << "its identity is not in the ledger";
  ledger_->FailWrites(false);
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kFailed);
  EXPECT_EQ(end.error_code, "LEDGER_WRITE_FAILED");
  EXPECT_THAT(History(row.id), ElementsAre(DeploymentState::kPending, DeploymentState::kRunning,
                                           DeploymentState::kFailed));
}

TEST_F(SchedulerFaultTest, AFinishedBoardStaysFinishedWhenTheLedgerComesBack) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("export:leave");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  ledger_->FailWrites(true);
  Resume();
  while (ledger_->refused() < 2) base::SystemClock().Sleep(absl::Milliseconds(5));
  EXPECT_EQ(Get(row.id).state, DeploymentState::kRunning);
  ledger_->FailWrites(false);
  EXPECT_EQ(AwaitEnd(row.id).state, DeploymentState::kSucceeded);
}

TEST_F(SchedulerFaultTest, AnOrderTheLedgerDoesNotTakeIsNotAccepted) {
  registry_.AddPort("p1");
  StartStation();
  ledger_->FailWrites(true);
  EXPECT_TRUE(errors::Is(scheduler_->Create(MakeOrder("p1"), false).status(),
                         errors::ErrorCode::kLedgerWriteFailed));
  ledger_->FailWrites(false);
  EXPECT_EQ(*real_ledger_->LastSequence(), 0);
}

}  // namespace
}  // namespace kiln::pipeline
