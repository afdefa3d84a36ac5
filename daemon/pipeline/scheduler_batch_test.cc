// Batches from their order to their last board: what is taken, what is not, and what crashes leave.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/pipeline/batches.h"
#include "daemon/pipeline/pipeline_fixture.h"
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

class BatchTest : public PipelineFixture {
 protected:
  // `count` boards at the ports p*.
  std::string Order(int count, const std::vector<std::string>& ports = {"p*"}) {
    return Order({.request_id = absl::StrCat("batch-", ++orders_),
                  .customers = {MakeOrder("any").customer},
                  .one_customer = true,
                  .bundle = bundle_,
                  .ports = ports,
                  .count = count});
  }
  std::string Order(const BatchOrder& order) {
    const auto batch = batches_.Create(order, false);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? batch->id : "";
  }

  // Plugs board `number` in at `port`: the same board each time.
  void Plug(const std::string& port, uint8_t number) {
    std::unique_ptr<simulator::SimulatedOpener>& board = stock_[number];
    if (board == nullptr) {
      simulator::BoardConfig config;
      config.chip = esp::Chip::kEsp32C3;
      config.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, number};
      board = std::make_unique<simulator::SimulatedOpener>(config, clock_, port);
    }
    registry_.Plug(port, board.get());
  }

  Batch GetBatch(const std::string& id) {
    const auto batch = real_ledger_->GetBatch(id);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? *batch : Batch();
  }

  // Waits until the batch fulfils `condition`; fails the test after 30 s.
  Batch AwaitBatch(const std::string& id, const std::function<bool(const Batch&)>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    for (;;) {
      int64_t seen;
      {
        absl::MutexLock lock(&mutex_);
        seen = commits_;
      }
      const Batch batch = GetBatch(id);
      if (condition(batch)) return batch;
      absl::MutexLock lock(&mutex_);
      const auto more = [this, seen] {
        mutex_.AssertHeld();
        return commits_ != seen;
      };
      if (!mutex_.AwaitWithDeadline(absl::Condition(&more), end)) {
        ADD_FAILURE() << "waited in vain: " << ToMessage(batch).ShortDebugString();
        return batch;
      }
    }
  }
  Batch AwaitSucceeded(const std::string& id, int count) {
    return AwaitBatch(id, [count](const Batch& batch) { return batch.succeeded == count; });
  }

  // Waits until `deployments` have been made and nothing of the batch runs.
  Batch AwaitIdle(const std::string& id, int deployments) {
    return AwaitBatch(id, [deployments](const Batch& batch) {
      return batch.accepted == deployments && batch.running == 0;
    });
  }

  // Nothing more is begun: whatever could have been is begun before LookForWork returns.
  void ExpectNothingMore(const std::string& id, int deployments) {
    scheduler_->LookForWork();
    EXPECT_EQ(GetBatch(id).accepted, deployments);
  }

  std::vector<Deployment> DeploymentsOf(const std::string& id) {
    const auto rows = real_ledger_->ListDeployments({.batch_id = id, .limit = 1000});
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : std::vector<Deployment>();
  }
  // Newest first.
  std::vector<std::string> ErrorsOf(const std::string& id) {
    std::vector<std::string> errors;
    for (const Deployment& row : DeploymentsOf(id)) errors.push_back(row.error_code);
    return errors;
  }

  void ExpectEachBoardOnce(const std::string& id) {
    std::set<std::string> macs;
    for (const Deployment& row : DeploymentsOf(id)) {
      if (row.state != DeploymentState::kSucceeded) continue;
      EXPECT_TRUE(macs.insert(row.mac).second) << row.mac << " was made twice";
    }
    const Batch batch = GetBatch(id);
    EXPECT_LE(batch.succeeded + batch.running, batch.count);
    EXPECT_EQ(static_cast<int>(macs.size()), batch.succeeded);
    EXPECT_THAT(Records(), SizeIs(macs.size()));
    EXPECT_TRUE(real_ledger_->Verify()->ok);
  }

  Batches batches_{*ledger_, *bundles_, clock_, base::SystemRandom(), absl::UTCTimeZone(), [this] {
                     if (scheduler_ != nullptr) scheduler_->LookForWork();
                   }};
  std::map<uint8_t, std::unique_ptr<simulator::SimulatedOpener>> stock_;
  int orders_ = 0;
};

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
  EXPECT_EQ(stock_[9]->statistics().programmed_bytes, 0U) << "at a port of no concern";
  EXPECT_EQ(stock_[4]->statistics().programmed_bytes, 0U) << "after the count was full";
}

TEST_F(BatchTest, EachSlotHasItsOwnCustomer) {
  BatchOrder order{.request_id = "list",
                   .customers = {},
                   .one_customer = false,
                   .bundle = bundle_,
                   .ports = {"p*"},
                   .count = 3};
  for (const char* customer : {"AAA001", "BBB002", "CCC003"}) {
    order.customers.push_back(MakeOrder("any").customer);
    order.customers.back().customer_id = customer;
  }
  StartStation();
  const std::string id = Order(order);
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
  const uint64_t written = stock_[1]->statistics().programmed_bytes;
  ExpectNothingMore(id, 2);

  EXPECT_THAT(ErrorsOf(id), ElementsAre("BOARD_ALREADY_MADE", ""));
  const Batch batch = GetBatch(id);
  EXPECT_EQ(batch.refused, 1);
  EXPECT_EQ(batch.failed, 0);
  EXPECT_EQ(batch.free_slots(), 1);
  Plug("p1", 2);
  AwaitSucceeded(id, 2);
  EXPECT_EQ(stock_[1]->statistics().programmed_bytes, written);
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

TEST_F(BatchTest, NoMoreRunAtOnceThanAllowed) {
  options_.max_running = 2;
  options_.max_running_per_hub = 1;
  for (uint8_t i = 1; i <= 4; ++i) {
    const std::string port = absl::StrCat("p", i);
    registry_.AddPort(port);
    registry_.SetUsb(port, {.hub = i <= 3 ? "1-1" : "1-2"});
    Plug(port, i);
  }
  StartStation();
  HoldAt("flash:enter");
  const std::string id = Order(4);
  AwaitHeld();

  // One at each hub: the fourth board does not wait for the second.
  ExpectNothingMore(id, 2);
  EXPECT_FALSE(scheduler_->RunningOn("p1").empty());
  EXPECT_FALSE(scheduler_->RunningOn("p4").empty());
  Resume();
  AwaitSucceeded(id, 4);
  ExpectEachBoardOnce(id);
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

TEST_F(BatchTest, ABoardThatMovedBeforeItsDeploymentEndedIsNotTakenTwice) {
  StartStation();
  const std::string id = Order(2);
  CrashAt("flash:half");
  Plug("p1", 1);
  AwaitCrash();
  StopStation();
  registry_.Unplug("p1");
  Plug("p2", 1);
  Restart();
  const Batch refused = AwaitBatch(id, [](const Batch& batch) { return batch.refused == 1; });
  EXPECT_EQ(refused.running, 1) << "the first deployment waits for its board";

  // Its own port gets it back: the deployment goes on.
  registry_.Unplug("p2");
  Plug("p1", 1);
  AwaitSucceeded(id, 1);
  ExpectEachBoardOnce(id);
}

class BatchCrashTest : public BatchTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(BatchCrashTest, MakesEachBoardOnceAndNoneTooMany) {
  StartStation();
  const std::string id = Order(2);
  CrashAt(GetParam());
  Plug("p1", 1);
  AwaitCrash();
  Restart();
  // A third board, while the first may still be under way.
  Plug("p2", 2);
  Plug("p3", 3);
  const Batch batch = AwaitSucceeded(id, 2);
  ExpectNothingMore(id, batch.accepted);

  EXPECT_EQ(batch.state, BatchState::kCompleted);
  EXPECT_EQ(batch.failed, 0);
  ExpectEachBoardOnce(id);
}

INSTANTIATE_TEST_SUITE_P(Points, BatchCrashTest,
                         ::testing::Values("batch:enter", "batch:leave", "prepare:enter",
                                           "identify:enter", "identify:leave", "flash:enter",
                                           "flash:half", "verify:leave", "confirm:leave",
                                           "export:enter", "export:leave", "outcome:enter"));

TEST_F(BatchTest, AFinishedBoardThatIsStillThereAfterARestartIsRecognised) {
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(2);
  AwaitSucceeded(id, 1);

  Restart();
  AwaitIdle(id, 2);
  ExpectNothingMore(id, 2);

  EXPECT_THAT(ErrorsOf(id), ElementsAre("BOARD_ALREADY_MADE", ""));
  Plug("p1", 2);
  AwaitSucceeded(id, 2);
  ExpectEachBoardOnce(id);
}

TEST_F(BatchTest, InARestoredLedgerItWaitsForAnOperator) {
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(2);
  AwaitSucceeded(id, 1);
  StopStation();
  // Made since the backup, for all that this ledger can know.
  Plug("p2", 2);

  options_.restored = true;
  Restart();

  ExpectNothingMore(id, 1);
  EXPECT_EQ(GetBatch(id).state, BatchState::kPaused);
  EXPECT_EQ(stock_[2]->statistics().programmed_bytes, 0U);
  ASSERT_TRUE(batches_.Resume(id).ok());
  AwaitSucceeded(id, 2);
  ExpectEachBoardOnce(id);
}

}  // namespace
}  // namespace kiln::pipeline
