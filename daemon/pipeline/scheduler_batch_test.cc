// Batches from their order to their last board: what is taken, and what is not.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/pipeline/batch_fixture.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using storage::Batch;
using storage::BatchState;
using storage::Deployment;
using storage::DeploymentState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BatchTest : public BatchFixture {};

TEST_F(BatchTest, TakesWhatIsThereAndWhatComesUntilItsCount) {
  Plug("p1", 1);
  Plug("q1", 9);
  StartStation();
  const std::string id = Order(3);
  Plug("p2", 2);
  AwaitIdle(id, 2);
  Plug("p3", 3);
  const Batch done = AwaitSucceeded(id, 3);

  Plug("p4", 4);
  ExpectNothingMore(id, 3);

  EXPECT_EQ(done.state, BatchState::kCompleted);
  ExpectEachBoardOnce(id);
  std::set<std::string> identities;
  for (const Deployment& row : DeploymentsOf(id)) {
    identities.insert(row.wifi_ssid);
    EXPECT_EQ(row.requested_port, row.port);
  }
  EXPECT_THAT(identities, SizeIs(3));
  EXPECT_EQ(ProgrammedBytes(9), 0U) << "at a port of no concern";
  EXPECT_EQ(ProgrammedBytes(4), 0U) << "after the count was full";
}

TEST_F(BatchTest, EachSlotHasItsOwnCustomer) {
  StartStation();
  const std::string id = OrderFor({"AAA001", "BBB002", "CCC003"});
  for (uint8_t i = 1; i <= 3; ++i) Plug(absl::StrCat("p", i), i);
  AwaitSucceeded(id, 3);

  std::map<int, std::string> customers;
  for (const Deployment& row : DeploymentsOf(id)) customers[row.batch_slot] = row.customer_id;
  EXPECT_THAT(customers,
              ElementsAre(std::pair(1, "AAA001"), std::pair(2, "BBB002"), std::pair(3, "CCC003")));
}

TEST_F(BatchTest, AFinishedBoardIsRefusedUntilItsPortGetsAnother) {
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(2);
  AwaitSucceeded(id, 1);
  ExpectNothingMore(id, 1);

  // Unplugged and plugged in again it is recognised, once.
  registry_.Unplug("p1");
  Plug("p1", 1);
  AwaitIdle(id, 2);
  const uint64_t written = ProgrammedBytes(1);
  ExpectNothingMore(id, 2);

  EXPECT_THAT(ErrorsOf(id), ElementsAre("BOARD_ALREADY_MADE", ""));
  const Batch batch = GetBatch(id);
  EXPECT_EQ(batch.refused, 1);
  EXPECT_EQ(batch.failed, 0);
  EXPECT_EQ(batch.free_slots(), 1);
  Plug("p1", 2);
  AwaitSucceeded(id, 2);
  EXPECT_EQ(ProgrammedBytes(1), written);
  ExpectEachBoardOnce(id);
}

TEST_F(BatchTest, AnAllowedBoardIsMadeOnceMoreWhereItIs) {
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(2);
  AwaitSucceeded(id, 1);

  ASSERT_TRUE(batches_.AllowBoard(id, "7C:DF:A1:00:00:01").ok());
  AwaitIdle(id, 2);
  ExpectNothingMore(id, 2);

  // It has left its first slot to another board.
  const Batch batch = GetBatch(id);
  EXPECT_EQ(batch.succeeded, 1);
  EXPECT_EQ(batch.free_slots(), 1);
  EXPECT_THAT(ErrorsOf(id), ElementsAre("", ""));
}

TEST_F(BatchTest, AFailedBoardIsTriedAgainOnlyWhenPluggedInAgain) {
  simulator::BoardConfig deaf;
  deaf.chip = esp::Chip::kEsp32S3;  // not the bundle's
  deaf.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 1};
  stock_[1] = std::make_unique<simulator::SimulatedOpener>(deaf, clock_, "p1");
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(1);
  AwaitIdle(id, 1);
  ExpectNothingMore(id, 1);

  EXPECT_THAT(ErrorsOf(id), ElementsAre("CHIP_MISMATCH"));
  EXPECT_EQ(GetBatch(id).failed, 1);
  Plug("p1", 2);
  EXPECT_EQ(AwaitSucceeded(id, 1).state, BatchState::kCompleted);
  // The failure has its record, too.
  EXPECT_THAT(Records(), SizeIs(1));
}

TEST_F(BatchTest, PausedItTakesNothingAndResumedItTakesWhatIsThere) {
  StartStation();
  const std::string id = Order(2);
  ASSERT_TRUE(batches_.Pause(id).ok());
  Plug("p1", 1);
  ExpectNothingMore(id, 0);

  ASSERT_TRUE(batches_.Resume(id).ok());
  AwaitSucceeded(id, 1);

  ASSERT_TRUE(batches_.End(id).ok());
  Plug("p2", 2);
  ExpectNothingMore(id, 1);
}

TEST_F(BatchTest, WhatRunsWhenItEndsIsFinished) {
  Plug("p1", 1);
  StartStation();
  HoldAt("flash:enter");
  const std::string id = Order(2);
  AwaitHeld();
  ASSERT_TRUE(batches_.End(id).ok());
  Resume();

  const Batch batch = AwaitSucceeded(id, 1);
  EXPECT_EQ(batch.state, BatchState::kEnded);
}

TEST_F(BatchTest, TheStationsRulesStandAboveItsPatterns) {
  options_.batch_ports = {.allow = {"A*", "p2"}, .deny = {"A2"}};
  registry_.AddPort("p1", "A1");
  registry_.AddPort("p3", "A2");
  for (uint8_t i = 1; i <= 4; ++i) Plug(absl::StrCat("p", i), i);
  StartStation();
  const std::string id = Order(4, {"*"});
  AwaitIdle(id, 2);
  ExpectNothingMore(id, 2);

  std::set<std::string> ports;
  for (const Deployment& row : DeploymentsOf(id)) ports.insert(row.port);
  EXPECT_THAT(ports, ElementsAre("p1", "p2"));
}

TEST_F(BatchTest, AnOrderOfItsOwnGoesFirst) {
  registry_.AddPort("p1");
  StartStation();
  const std::string id = Order(1);
  const Deployment own = Deploy("p1");
  Plug("p1", 1);
  EXPECT_EQ(AwaitEnd(own.id).state, DeploymentState::kSucceeded);

  ExpectNothingMore(id, 0);
}

TEST_F(BatchTest, AnOrderForAnyBoardTakesNoneThatABatchIsAboutToTake) {
  StartStation();
  const std::string id = Order(1);
  HoldAt("batch:enter");
  std::thread bench([this] { Plug("p1", 1); });
  AwaitHeld();
  const Deployment any = Deploy("any");
  Resume();
  bench.join();
  AwaitSucceeded(id, 1);

  // Otherwise the batch would write over what the order had made of the board.
  EXPECT_EQ(Get(any.id).state, DeploymentState::kPending);
  Plug("p2", 2);
  EXPECT_EQ(AwaitEnd(any.id).mac, MacOf(2));
}

TEST_F(BatchTest, AnOrderForAnyBoardGetsWhatABatchCouldNotTake) {
  StartStation();
  const std::string id = Order(1);
  HoldAt("batch:enter");
  std::thread bench([this] { Plug("p1", 1); });
  AwaitHeld();
  const Deployment any = Deploy("any");
  ledger_->RefuseNext(errors::MakeError(errors::ErrorCode::kLedgerWriteFailed, "once"));
  Resume();
  bench.join();

  EXPECT_EQ(AwaitEnd(any.id).mac, MacOf(1));
  ExpectNothingMore(id, 0);
}

TEST_F(BatchTest, ABoardThatAnOrderOfItsOwnTookMeanwhileIsNotWrittenOver) {
  registry_.AddPort("p1");
  StartStation();
  const std::string id = Order(1);
  HoldAt("batch:enter");
  std::thread bench([this] { Plug("p1", 1); });
  AwaitHeld();
  const Deployment own = Deploy("p1");
  Resume();
  bench.join();
  EXPECT_EQ(AwaitEnd(own.id).state, DeploymentState::kSucceeded);
  // Whoever names the port means the board that is there; the batch's deployment, which was asked
  // before, waits for the port's next one.
  EXPECT_EQ(AwaitEnd(Deploy("p1").id).mac, MacOf(1));
  ExpectNothingMore(id, 1);
  EXPECT_EQ(DeploymentsOf(id).front().state, DeploymentState::kPending);
  Plug("p1", 2);
  AwaitSucceeded(id, 1);
  EXPECT_EQ(DeploymentsOf(id).front().mac, MacOf(2));
}

TEST_F(BatchTest, TwoBatchesAtOnePortAreServedInTheirOrder) {
  StartStation();
  const std::string first = Order(1);
  const std::string second = Order(1);
  Plug("p1", 1);
  AwaitSucceeded(first, 1);
  EXPECT_THAT(DeploymentsOf(second), IsEmpty());

  Plug("p1", 2);
  AwaitSucceeded(second, 1);
}

TEST_F(BatchTest, ABoardWaitsForALedgerThatDoesNotWrite) {
  StartStation();
  const std::string id = Order(1);
  ledger_->FailWrites(true);
  Plug("p1", 1);
  ExpectNothingMore(id, 0);

  ledger_->FailWrites(false);
  scheduler_->LookForWork();

  AwaitSucceeded(id, 1);
}

TEST_F(BatchTest, ARetiredBundlePausesIt) {
  StartStation();
  const std::string id = Order(1);
  ASSERT_TRUE(bundles_->Retire(bundle_).ok());
  Plug("p1", 1);

  EXPECT_EQ(GetBatch(id).state, BatchState::kPaused);
  EXPECT_THAT(DeploymentsOf(id), IsEmpty());
}

}  // namespace
}  // namespace kiln::pipeline
