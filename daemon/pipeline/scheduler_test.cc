// Orders from their acceptance to their end, on sound boards.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using storage::Deployment;
using storage::DeploymentState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class SchedulerTest : public PipelineFixture {};

TEST_F(SchedulerTest, FourBoardsSucceedAtOnceEachWithItsOwnIdentity) {
  for (int i = 1; i <= 4; ++i) PlugBoard(absl::StrCat("p", i), static_cast<uint8_t>(i));
  StartStation();
  std::vector<Deployment> rows;
  for (int i = 1; i <= 4; ++i) rows.push_back(Deploy(absl::StrCat("p", i)));
  std::set<std::string> passwords;
  for (int i = 1; i <= 4; ++i) {
    const Deployment row = AwaitEnd(rows[i - 1].id);
    EXPECT_EQ(row.state, DeploymentState::kSucceeded) << row.error_code << row.error_detail;
    EXPECT_EQ(row.mac, MacOf(static_cast<uint8_t>(i)));
    EXPECT_EQ(row.chip, "ESP32-C3");
    EXPECT_EQ(row.progress_percent, 100);
    EXPECT_EQ(row.wifi_ssid, absl::StrCat("SMC_ESP32_BGK001_000", i));
    EXPECT_TRUE(files_.Exists(row.record_path)) << row.record_path;
    EXPECT_THAT(RecordText(row.record_path), HasSubstr(row.mac));
    passwords.insert(row.wifi_password);
    EXPECT_THAT(History(row.id), ElementsAre(DeploymentState::kPending, DeploymentState::kRunning,
                                             DeploymentState::kSucceeded));
  }
  EXPECT_THAT(passwords, SizeIs(4));
  EXPECT_THAT(Records(), SizeIs(4));
  EXPECT_TRUE(real_ledger_->Verify()->ok);
}

TEST_F(SchedulerTest, SecondDeploymentWritesOnlyTheIdentity) {
  PlugBoard("p1", 1);
  StartStation();
  AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);
  const Deployment second = AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);
  DeploymentDetails details;
  ASSERT_TRUE(details.ParseFromString(second.details));
  EXPECT_GT(details.flash().written_bytes(), 0u);
  EXPECT_LE(details.flash().written_bytes(), 24u * 1024) << "the demo's NVS partition";
}

TEST_F(SchedulerTest, ProgressNeverGoesBack) {
  PlugBoard("p1", 1);
  StartStation();
  AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);
  absl::MutexLock lock(&mutex_);
  EXPECT_GT(progress_.size(), 7u) << "one for each step at least";
  EXPECT_TRUE(std::is_sorted(progress_.begin(), progress_.end(), [](const auto& a, const auto& b) {
    return a.progress_percent() < b.progress_percent();
  }));
}

TEST_F(SchedulerTest, RepeatedRequestAnswersTheFirstDeployment) {
  registry_.AddPort("p1", "A1");
  StartStation();
  const auto first = scheduler_->Create(MakeOrder("p1", "same"), false);
  ASSERT_TRUE(first.ok()) << first.status();
  // By the port's alias and the bundle's prefix it is still the same order.
  Order again = MakeOrder("A1", "same");
  again.bundle = bundle_.substr(0, 12);
  ASSERT_TRUE(bundles_->Retire(bundle_).ok());
  const auto second = scheduler_->Create(again, false);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->id, first->id);
  EXPECT_EQ(real_ledger_->CountByState()->at(1), 1);
}

TEST_F(SchedulerTest, RequestIdOfAnotherOrderIsAConflict) {
  registry_.AddPort("p1");
  StartStation();
  ASSERT_TRUE(scheduler_->Create(MakeOrder("p1", "same"), false).ok());
  Order other = MakeOrder("p1", "same");
  other.customer.customer_id = "OTHER1";
  EXPECT_TRUE(errors::Is(scheduler_->Create(other, false).status(), ErrorCode::kRequestConflict));
}

TEST_F(SchedulerTest, ARepeatIsAnsweredWhenItsPortIsNotKnownAnyMore) {
  registry_.AddPort("p1", "A1");
  StartStation();
  const auto by_name = scheduler_->Create(MakeOrder("p1", "by-name"), false);
  ASSERT_TRUE(by_name.ok()) << by_name.status();
  const auto by_alias = scheduler_->Create(MakeOrder("A1", "by-alias"), false);
  ASSERT_TRUE(by_alias.ok()) << by_alias.status();
  // Nothing is plugged in when the station starts again: USB ports are known once they were used.
  boards::FakeRegistry empty;
  known_boards_ = &empty;
  Restart();
  const auto again = scheduler_->Create(MakeOrder("p1", "by-name"), false);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, by_name->id);
  const auto alias_again = scheduler_->Create(MakeOrder("A1", "by-alias"), false);
  ASSERT_TRUE(alias_again.ok()) << alias_again.status();
  EXPECT_EQ(alias_again->id, by_alias->id);
  EXPECT_TRUE(errors::Is(scheduler_->Create(MakeOrder("p2", "by-name"), false).status(),
                         ErrorCode::kRequestConflict));
  EXPECT_TRUE(errors::Is(scheduler_->Create(MakeOrder("p1", "new"), false).status(),
                         ErrorCode::kPortNotFound));
  StopStation();
}

TEST_F(SchedulerTest, ValidateOnlyKeepsNothing) {
  registry_.AddPort("p1");
  StartStation();
  Order order = MakeOrder("p1");
  order.request_id.clear();
  const auto checked = scheduler_->Create(order, true);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->id, "");
  EXPECT_EQ(*real_ledger_->LastSequence(), 0);
}

TEST_F(SchedulerTest, TooManyWaitingOrdersAreRefused) {
  registry_.AddPort("p1");
  options_.max_pending = 2;
  StartStation();
  Deploy("p1");
  const Deployment second = Deploy("p1");
  EXPECT_TRUE(
      errors::Is(scheduler_->Create(MakeOrder("p1"), false).status(), ErrorCode::kStationBusy));
  ASSERT_TRUE(scheduler_->Cancel(second.id).ok());
  Deploy("p1");
}

TEST_F(SchedulerTest, WaitsForABoardWhereNoneIsThere) {
  registry_.AddPort("p1");
  StartStation();
  const Deployment row = Deploy("p1");
  EXPECT_EQ(row.state, DeploymentState::kPending);
  EXPECT_EQ(Get(row.id).state, DeploymentState::kPending);
  PlugBoard("p1", 1);
  EXPECT_EQ(AwaitEnd(row.id).state, DeploymentState::kSucceeded);
}

TEST_F(SchedulerTest, AnyPortServesOrdersInTheirOrderAndNoBoardTwice) {
  PlugBoard("p1", 1);
  StartStation();
  const Deployment first = Deploy("any");
  const Deployment second = Deploy("any");
  EXPECT_EQ(AwaitEnd(first.id).port, "p1");
  // The finished board is still there; the next order is for another one.
  EXPECT_EQ(Get(second.id).state, DeploymentState::kPending);
  PlugBoard("p2", 2);
  EXPECT_EQ(AwaitEnd(second.id).mac, MacOf(2));
  EXPECT_EQ(Get(first.id).mac, MacOf(1));
  // Plugged in again, the first port's board is free for the next.
  const Deployment third = Deploy("any");
  EXPECT_EQ(Get(third.id).state, DeploymentState::kPending);
  registry_.Unplug("p1");
  PlugBoard("p1", 3);
  EXPECT_EQ(AwaitEnd(third.id).mac, MacOf(3));
}

TEST_F(SchedulerTest, AFreshBoardThatIsSwappedInBeforeTheRecordIsWrittenIsFree) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("export:enter");
  const Deployment first = Deploy("any");
  const Deployment second = Deploy("any");
  AwaitHeld();
  registry_.Unplug("p1");
  const auto finished = std::move(boards_["p1"]);
  PlugBoard("p1", 2);
  Resume();
  EXPECT_EQ(AwaitEnd(first.id).mac, MacOf(1));
  EXPECT_EQ(AwaitEnd(second.id).mac, MacOf(2));
}

TEST_F(SchedulerTest, AnyPortTakesNoFinishedProductAfterARestart) {
  PlugBoard("p1", 1);
  StartStation();
  EXPECT_EQ(AwaitEnd(Deploy("any").id).state, DeploymentState::kSucceeded);
  const uint64_t programmed = BoardAt("p1").statistics().programmed_bytes;
  Restart();
  HoldAt("identify:leave");
  const Deployment second = Deploy("any");
  AwaitHeld();
  Resume();
  const Deployment waiting = AwaitState(second.id, DeploymentState::kPending);
  EXPECT_EQ(waiting.port, "");
  EXPECT_EQ(waiting.mac, "");
  PlugBoard("p2", 2);
  const Deployment end = AwaitEnd(second.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
  EXPECT_EQ(end.mac, MacOf(2));
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, programmed);
  EXPECT_THAT(History(second.id), ElementsAre(DeploymentState::kPending, DeploymentState::kRunning,
                                              DeploymentState::kPending, DeploymentState::kRunning,
                                              DeploymentState::kSucceeded))
      << "the finished board is asked once";
  // Whoever names the port means the board there.
  EXPECT_EQ(AwaitEnd(Deploy("p1").id).mac, MacOf(1));
}

TEST_F(SchedulerTest, ADeploymentThatWaitsAgainCanBeCancelled) {
  PlugBoard("p1", 1);
  StartStation();
  EXPECT_EQ(AwaitEnd(Deploy("any").id).state, DeploymentState::kSucceeded);
  Restart();
  HoldAt("outcome:enter");
  const Deployment second = Deploy("any");
  AwaitHeld();
  // Too late for the run, which is about to give it back.
  ASSERT_TRUE(scheduler_->Cancel(second.id).ok());
  Resume();
  EXPECT_EQ(AwaitEnd(second.id).state, DeploymentState::kCanceled);
}

TEST_F(SchedulerTest, CancelsWhileWaiting) {
  registry_.AddPort("p1");
  StartStation();
  const Deployment row = Deploy("p1");
  const auto canceled = scheduler_->Cancel(row.id);
  ASSERT_TRUE(canceled.ok()) << canceled.status();
  EXPECT_EQ(canceled->state, DeploymentState::kCanceled);
  const auto again = scheduler_->Cancel(row.id);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->sequence, canceled->sequence) << "idempotent: no second event";
  PlugBoard("p1", 1);
  EXPECT_EQ(scheduler_->RunningOn("p1"), "");
  EXPECT_TRUE(errors::Is(scheduler_->Cancel("nobody").status(), ErrorCode::kDeploymentNotFound));
}

TEST_F(SchedulerTest, CancelsAtEveryStepBeforeTheExport) {
  StartStation();
  uint8_t number = 0;
  for (const char* point : {"prepare:enter", "connect:enter", "identify:enter", "flash:enter",
                            "flash:half", "verify:enter", "boot:enter", "confirm:enter"}) {
    SCOPED_TRACE(point);
    HoldAt(point);
    PlugBoard("p1", ++number);
    const Deployment row = Deploy("p1");
    AwaitHeld();
    const auto asked = scheduler_->Cancel(row.id);
    ASSERT_TRUE(asked.ok()) << asked.status();
    EXPECT_TRUE(asked->cancel_requested);
    Resume();
    const Deployment end = AwaitEnd(row.id);
    EXPECT_EQ(end.state, DeploymentState::kCanceled) << end.error_detail;
    EXPECT_EQ(end.error_code, "CANCELLED_BY_OPERATOR");
    registry_.Unplug("p1");
  }
  EXPECT_THAT(Records(), SizeIs(0));
}

TEST_F(SchedulerTest, AFinishedBoardGetsItsRecordInSpiteOfALateCancel) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("export:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  ASSERT_TRUE(scheduler_->Cancel(row.id).ok());
  Resume();
  EXPECT_EQ(AwaitEnd(row.id).state, DeploymentState::kSucceeded);
  EXPECT_TRUE(errors::Is(scheduler_->Cancel(row.id).status(), ErrorCode::kDeploymentStateWrong));
}

TEST_F(SchedulerTest, RetryKeepsThePasswordAndStartsOnce) {
  PlugBoard("p1", 1).SetFaults({.no_identity_line = true});
  options_.timeouts.confirm = absl::Seconds(3);
  StartStation();
  const Deployment failed = AwaitEnd(Deploy("p1").id);
  EXPECT_EQ(failed.error_code, "BOARD_NOT_CONFIRMED") << failed.error_detail;
  BoardAt("p1").SetFaults({});
  const auto retried = scheduler_->Retry(failed.id, "retry-1");
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->attempt, 2);
  const auto repeated = scheduler_->Retry(failed.id, "retry-1");
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->attempt, 2);
  const Deployment end = AwaitEnd(failed.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
  EXPECT_EQ(end.attempt, 2);
  EXPECT_EQ(end.wifi_password, failed.wifi_password);
  EXPECT_TRUE(errors::Is(scheduler_->Retry(failed.id, "retry-2").status(),
                         ErrorCode::kDeploymentStateWrong));
}

TEST_F(SchedulerTest, IdlePortIsHeldWhileSomebodyUsesIt) {
  PlugBoard("p1", 1);
  StartStation();
  std::string id;
  const absl::Status used = scheduler_->WithIdlePort("p1", [&] {
    id = Deploy("p1").id;
    EXPECT_EQ(scheduler_->RunningOn("p1"), "");
    EXPECT_TRUE(errors::Is(scheduler_->WithIdlePort("p1", [] { return absl::OkStatus(); }),
                           ErrorCode::kBoardInUse));
    return absl::AbortedError("passed on");
  });
  EXPECT_TRUE(absl::IsAborted(used)) << used;
  EXPECT_EQ(AwaitEnd(id).state, DeploymentState::kSucceeded);
}

TEST_F(SchedulerTest, DrainRefusesNewWorkAndTheNextStartGoesOn) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("flash:half");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  EXPECT_TRUE(absl::IsDeadlineExceeded(scheduler_->Drain(absl::Milliseconds(100))));
  EXPECT_TRUE(
      errors::Is(scheduler_->Create(MakeOrder("p1"), false).status(), ErrorCode::kStationDraining));
  Resume();
  const absl::Status drained = scheduler_->Drain(absl::Minutes(2));
  EXPECT_TRUE(drained.ok()) << drained;
  const Deployment waiting = Get(row.id);
  EXPECT_EQ(waiting.state, DeploymentState::kPending);
  EXPECT_EQ(waiting.mac, MacOf(1));
  Restart();
  const Deployment end = AwaitEnd(row.id);
  EXPECT_EQ(end.state, DeploymentState::kSucceeded) << end.error_detail;
  EXPECT_EQ(end.attempt, 1);
  EXPECT_EQ(end.wifi_password, waiting.wifi_password);
}

TEST_F(SchedulerTest, AStopDuringAnUnplugLooksForNoBoardAndJoinsTheWorkers) {
  PlugBoard("p1", 1);
  StartStation();
  HoldAt("flash:enter");
  const Deployment row = Deploy("p1");
  AwaitHeld();
  BoardAt("p1").Unplug();
  EXPECT_TRUE(absl::IsDeadlineExceeded(scheduler_->Drain(absl::Milliseconds(100))));
  int changes = 0;
  registry_.SetObserver([&changes](const boards::BoardInfo&) { ++changes; });
  Resume();
  scheduler_->Stop();
  EXPECT_EQ(changes, 0) << "a scan would have seen the board leave";
  EXPECT_EQ(scheduler_->RunningOn("p1"), "");
  EXPECT_EQ(Get(row.id).state, DeploymentState::kPending);
  scheduler_->Stop();
}

TEST_F(SchedulerTest, NoEventHoldsThePassword) {
  PlugBoard("p1", 1);
  StartStation();
  const Deployment row = AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);
  ASSERT_GE(row.wifi_password.size(), 12u);
  const auto events = real_ledger_->ListEvents({.limit = 1000});
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_GT(events->size(), 8u);
  for (const storage::EventRecord& event : *events) {
    EXPECT_THAT(event.payload, Not(HasSubstr(row.wifi_password)));
  }
}

TEST_F(SchedulerTest, RecordIsTheFileAndIsDrawnAgainWhereThatIsGone) {
  PlugBoard("p1", 1);
  StartStation();
  const Deployment done = AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);
  const auto file = scheduler_->RecordOf(done.id);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->json, RecordText(done.record_path));
  EXPECT_EQ(absl::StrCat(options_.export_directory, "/", file->name), done.record_path);

  ASSERT_TRUE(files_.RemoveAll(done.record_path).ok());
  const auto again = scheduler_->RecordOf(done.id);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name, file->name);
  EXPECT_THAT(again->json, HasSubstr(done.wifi_password));
  EXPECT_EQ(errors::CodeOf(scheduler_->RecordOf("none").status()), ErrorCode::kDeploymentNotFound);
}

TEST_F(SchedulerTest, RecordOfWhatWasCancelledHasNoPasswordAndOfWhatWaitsThereIsNone) {
  registry_.AddPort("p1");
  StartStation();
  const Deployment waiting = Deploy("p1");
  EXPECT_EQ(errors::CodeOf(scheduler_->RecordOf(waiting.id).status()),
            ErrorCode::kDeploymentStateWrong);
  ASSERT_TRUE(scheduler_->Cancel(waiting.id).ok());
  const auto file = scheduler_->RecordOf(waiting.id);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->json, HasSubstr("CANCELLED_BY_OPERATOR"));
  EXPECT_THAT(file->name, HasSubstr(waiting.id));
}

}  // namespace
}  // namespace kiln::pipeline
