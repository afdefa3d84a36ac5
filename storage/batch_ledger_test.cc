#include "storage/batch_ledger.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "base/fake_clock.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger.h"
#include "storage/ledger_test_util.h"

namespace kiln::storage {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

BatchCustomer CustomerOf(const std::string& id) {
  return {.organization = "โรงงานกรุงเทพ", .customer_id = id, .application_name = "Smart Meter"};
}

Batch MakeBatch(const std::string& name, int count) {
  Batch batch;
  batch.id = "batch-" + name;
  batch.request_id = "batch-request-" + name;
  batch.request_digest = "digest of " + name;
  batch.bundle_id = "b9";
  batch.ports = {"usb-1-2.*", "A1"};
  batch.count = count;
  return batch;
}

class BatchLedgerTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  void Reopen() {
    ledger_ = nullptr;
    ledger_ = MustOpen(path_, clock_);
    ledger_->SetCommitObserver([this](const EventRecord& event) {
      absl::MutexLock lock(&mutex_);
      told_.push_back(absl::StrCat(event.kind, " ", event.payload));
    });
  }

  void Order(int count, const std::string& name = "1") {
    const auto made = ledger_->CreateBatch(MakeBatch(name, count), {CustomerOf("BGK001")});
    ASSERT_TRUE(made.ok()) << made.status();
  }

  // A deployment of batch-1 as the scheduler creates it.
  absl::StatusOr<Deployment> Take(const std::string& name) {
    Deployment row = MakeDeployment(name);
    row.batch_id = "batch-1";
    auto outcome = ledger_->CreateDeployment(row, PayloadFor);
    if (!outcome.ok()) return outcome.status();
    return outcome->deployment;
  }

  absl::StatusOr<Deployment> Move(Deployment row, DeploymentState state,
                                  const std::string& mac = "", const std::string& error_code = "") {
    row.state = state;
    row.port = "port-" + row.id;
    if (!mac.empty()) row.mac = mac;
    row.error_code = error_code;
    return ledger_->UpdateDeployment(row, row.sequence, PayloadFor);
  }

  // A board that is taken, claimed and finished.
  Deployment Make(const std::string& name, const std::string& mac) {
    auto row = Take(name);
    EXPECT_TRUE(row.ok()) << row.status();
    row = Move(*row, DeploymentState::kRunning, mac);
    EXPECT_TRUE(row.ok()) << row.status();
    row = Move(*row, DeploymentState::kSucceeded);
    EXPECT_TRUE(row.ok()) << row.status();
    return *row;
  }

  // "state accepted/running/succeeded/failed/refused".
  std::string Counts() {
    const auto batch = ledger_->GetBatch("batch-1");
    if (!batch.ok()) return batch.status().ToString();
    return absl::StrCat(static_cast<int>(batch->state), " ", batch->accepted, "/", batch->running,
                        "/", batch->succeeded, "/", batch->failed, "/", batch->refused);
  }

  std::string Slots() {
    const auto slots = ledger_->ListBatchSlots("batch-1", 0, 100);
    if (!slots.ok()) return slots.status().ToString();
    return absl::StrJoin(*slots, " ", [](std::string* out, const BatchSlot& slot) {
      absl::StrAppend(out, slot.slot, ":", slot.deployment_id, ":", slot.mac);
    });
  }

  // "kind payload" of every event so far.
  std::vector<std::string> Told() {
    absl::MutexLock lock(&mutex_);
    return told_;
  }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const std::string path_ = folder_.Path("ledger.db");
  absl::Mutex mutex_;
  std::vector<std::string> told_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(BatchLedgerTest, ABatchIsKeptWithItsEvent) {
  Order(3);

  const auto batch = ledger_->GetBatch("batch-1");
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_THAT(batch->ports, ElementsAre("usb-1-2.*", "A1"));
  EXPECT_EQ(batch->customer, CustomerOf("BGK001"));
  EXPECT_EQ(batch->remaining(), 3);
  EXPECT_EQ(batch->sequence, 1);
  EXPECT_EQ(Counts(), "1 0/0/0/0/0");
  EXPECT_THAT(Told(), ElementsAre("7 batch-1 1 1"));
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
}

TEST_F(BatchLedgerTest, TheSameRequestAnswersTheFirstBatch) {
  Order(3);
  Batch again = MakeBatch("1", 3);
  again.id = "batch-other";

  const auto repeated = ledger_->CreateBatch(again, {CustomerOf("BGK001")});
  again.request_digest = "another order";
  const auto conflict = ledger_->CreateBatch(again, {CustomerOf("BGK001")});

  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_TRUE(repeated->repeated);
  EXPECT_EQ(repeated->batch.id, "batch-1");
  EXPECT_TRUE(errors::Is(conflict.status(), ErrorCode::kRequestConflict)) << conflict.status();
  EXPECT_EQ(*ledger_->LastSequence(), 1);
}

TEST_F(BatchLedgerTest, ADeploymentTakesTheFirstFreeSlotAndWhatTheBatchOrders) {
  ASSERT_TRUE(ledger_
                  ->CreateBatch(
                      [] {
                        Batch batch = MakeBatch("1", 2);
                        batch.one_customer = false;
                        return batch;
                      }(),
                      {CustomerOf("AAA001"), CustomerOf("BBB002")})
                  .ok());

  const auto first = Take("a");
  const auto second = Take("b");

  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->batch_slot, 1);
  EXPECT_EQ(first->customer_id, "AAA001");
  EXPECT_EQ(first->bundle_id, "b9");
  EXPECT_EQ(second->batch_slot, 2);
  EXPECT_EQ(second->customer_id, "BBB002");
  EXPECT_EQ(ledger_->GetDeployment(second->id)->batch_id, "batch-1");
  EXPECT_EQ(Slots(), "1:deployment-a: 2:deployment-b:");
  // Each with the batch's counts right behind it.
  EXPECT_THAT(Told(), ElementsAre("7 batch-1 1 1", "1 deployment-a 1 2", "7 batch-1 1 3",
                                  "1 deployment-b 1 4", "7 batch-1 1 5"));
}

TEST_F(BatchLedgerTest, NeverTakesMoreBoardsThanItsCount) {
  Order(2);
  ASSERT_TRUE(Take("a").ok());
  ASSERT_TRUE(Take("b").ok());

  const auto third = Take("c");

  EXPECT_TRUE(errors::Is(third.status(), ErrorCode::kBatchStateWrong)) << third.status();
  EXPECT_TRUE(absl::IsNotFound(ledger_->GetDeployment("deployment-c").status()));
  EXPECT_EQ(Counts(), "1 2/2/0/0/0");
  EXPECT_THAT(*ledger_->FindBatchesThatTakeBoards(), IsEmpty());
}

TEST_F(BatchLedgerTest, TheSchemaItselfHoldsTheCount) {
  Order(2);
  ledger_ = nullptr;
  RawDatabase raw(path_);

  EXPECT_THAT(raw.Run("INSERT INTO batch_slots VALUES('batch-1', 3, 'o', 'c', 'a', '', NULL, '')"),
              HasSubstr("no more slots than were ordered"));
  EXPECT_THAT(raw.Run("UPDATE batches SET count = 3"), HasSubstr("never changed"));
  EXPECT_THAT(raw.Run("DELETE FROM batch_slots"), HasSubstr("never deleted"));
}

TEST_F(BatchLedgerTest, ThreadsNeverTakeOneSlotTwice) {
  constexpr int kThreads = 8;
  Order(20);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 6; ++i) {
        auto row = Take(absl::StrCat(t, "-", i));
        if (!row.ok()) continue;
        row = Move(*row, DeploymentState::kRunning, absl::StrCat("mac-", t, "-", i));
        // Every third one fails and gives its slot back.
        Move(*row, i % 3 == 2 ? DeploymentState::kFailed : DeploymentState::kSucceeded)
            .IgnoreError();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  const auto batch = ledger_->GetBatch("batch-1");
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_LE(batch->succeeded, 20);
  EXPECT_EQ(batch->running, 0);
  std::set<std::string> holders;
  const auto slots = ledger_->ListBatchSlots("batch-1", 0, 100);
  ASSERT_TRUE(slots.ok()) << slots.status();
  for (const BatchSlot& slot : *slots) {
    if (slot.deployment_id.empty()) continue;
    EXPECT_TRUE(holders.insert(slot.deployment_id).second) << slot.deployment_id;
  }
  EXPECT_EQ(static_cast<int>(holders.size()), batch->succeeded);
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
}

TEST_F(BatchLedgerTest, AFailureGivesItsSlotToTheNextBoard) {
  Order(1);
  auto first = Take("a");
  first = Move(*first, DeploymentState::kRunning, "7c:00");
  ASSERT_TRUE(Move(*first, DeploymentState::kFailed, "", "BOARD_SILENT").ok());
  EXPECT_EQ(Counts(), "1 1/0/0/1/0");

  Make("b", "7c:00");

  EXPECT_EQ(Counts(), "3 2/0/1/1/0");
  EXPECT_EQ(Slots(), "1:deployment-b:7c:00");
}

TEST_F(BatchLedgerTest, TheLastSuccessCompletesIt) {
  Order(2);
  Make("a", "7c:00");
  EXPECT_EQ(Counts(), "1 1/0/1/0/0");

  Make("b", "7c:01");

  EXPECT_EQ(Counts(), "3 2/0/2/0/0");
  EXPECT_NE(ledger_->GetBatch("batch-1")->end_time, absl::InfinitePast());
  const auto late = ledger_->ChangeBatch("batch-1", BatchChange::kResume);
  EXPECT_TRUE(errors::Is(late.status(), ErrorCode::kBatchStateWrong)) << late.status();
}

TEST_F(BatchLedgerTest, ABoardThatWasMadeIsRefusedAndItsSlotStaysFree) {
  Order(3);
  Make("a", "7c:00");
  auto again = Take("b");

  const auto claimed = Move(*again, DeploymentState::kRunning, "7c:00");
  EXPECT_TRUE(errors::Is(claimed.status(), ErrorCode::kBoardAlreadyMade)) << claimed.status();
  // As the worker ends it, with the MAC that was refused.
  ASSERT_TRUE(Move(*again, DeploymentState::kFailed, "7c:00", "BOARD_ALREADY_MADE").ok());

  EXPECT_EQ(Counts(), "1 2/0/1/0/1");
  EXPECT_EQ(Slots(), "1:deployment-a:7c:00 2:: 3::");
}

TEST_F(BatchLedgerTest, ABoardAtWorkIsNotTakenByAnotherDeployment) {
  Order(2);
  auto first = Take("a");
  ASSERT_TRUE(Move(*first, DeploymentState::kRunning, "7c:00").ok());
  auto second = Take("b");

  const auto claimed = Move(*second, DeploymentState::kRunning, "7c:00");

  EXPECT_TRUE(errors::Is(claimed.status(), ErrorCode::kBoardAlreadyMade)) << claimed.status();
  EXPECT_THAT(claimed.status().message(), HasSubstr("has not ended"));
}

TEST_F(BatchLedgerTest, AnAllowedBoardIsMadeOnceMoreAndLeavesItsFirstSlot) {
  Order(2);
  Make("a", "7c:00");
  ASSERT_TRUE(ledger_->AllowBatchBoard("batch-1", "7c:00").ok());
  EXPECT_THAT(ledger_->GetBatch("batch-1")->allowed_macs, ElementsAre("7c:00"));

  Make("b", "7c:00");

  EXPECT_EQ(Slots(), "1:: 2:deployment-b:7c:00");
  EXPECT_THAT(ledger_->GetBatch("batch-1")->allowed_macs, IsEmpty());
  EXPECT_EQ(Counts(), "1 2/0/1/0/0");
  // Once only.
  const auto third = Take("c");
  EXPECT_FALSE(Move(*third, DeploymentState::kRunning, "7c:00").ok());
}

TEST_F(BatchLedgerTest, OnlyABoardThatHoldsASlotCanBeAllowed) {
  Order(2);

  const auto allowed = ledger_->AllowBatchBoard("batch-1", "7c:00");

  EXPECT_TRUE(errors::Is(allowed.status(), ErrorCode::kBatchStateWrong)) << allowed.status();
  EXPECT_TRUE(
      errors::Is(ledger_->AllowBatchBoard("none", "7c:00").status(), ErrorCode::kBatchNotFound));
}

TEST_F(BatchLedgerTest, PausedItTakesNoBoardsAndFinishesWhatRuns) {
  Order(2);
  auto first = Take("a");
  ASSERT_TRUE(ledger_->ChangeBatch("batch-1", BatchChange::kPause).ok());

  EXPECT_FALSE(Take("b").ok());
  first = Move(*first, DeploymentState::kRunning, "7c:00");
  ASSERT_TRUE(Move(*first, DeploymentState::kSucceeded).ok());
  EXPECT_EQ(Counts(), "2 1/0/1/0/0");

  ASSERT_TRUE(ledger_->ChangeBatch("batch-1", BatchChange::kResume).ok());
  EXPECT_TRUE(Take("c").ok());
}

TEST_F(BatchLedgerTest, AnEndIsFinalAndIdempotent) {
  Order(2);
  ASSERT_TRUE(ledger_->ChangeBatch("batch-1", BatchChange::kEnd).ok());
  const int64_t last = *ledger_->LastSequence();

  EXPECT_TRUE(ledger_->ChangeBatch("batch-1", BatchChange::kEnd).ok());
  EXPECT_EQ(*ledger_->LastSequence(), last);
  EXPECT_FALSE(ledger_->ChangeBatch("batch-1", BatchChange::kPause).ok());
  EXPECT_FALSE(Take("a").ok());
  EXPECT_TRUE(errors::Is(ledger_->ChangeBatch("none", BatchChange::kEnd).status(),
                         ErrorCode::kBatchNotFound));
}

TEST_F(BatchLedgerTest, ARetryTakesItsSlotBackUnlessAnotherBoardHasIt) {
  Order(2);
  auto first = Take("a");
  first = Move(*first, DeploymentState::kRunning, "7c:00");
  first = Move(*first, DeploymentState::kFailed, "", "BOARD_SILENT");
  ASSERT_TRUE(first.ok()) << first.status();

  const auto retried = Move(*first, DeploymentState::kPending);
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(Slots(), "1:deployment-a:7c:00 2::");
  const auto failed = Move(*retried, DeploymentState::kFailed, "", "BOARD_SILENT");
  ASSERT_TRUE(Take("b").ok());

  const auto late = Move(*failed, DeploymentState::kPending);
  EXPECT_TRUE(errors::Is(late.status(), ErrorCode::kBatchSlotTaken)) << late.status();
}

TEST_F(BatchLedgerTest, CountsAndSlotsOutliveARestart) {
  Order(3);
  Make("a", "7c:00");
  ASSERT_TRUE(Take("b").ok());
  const std::string slots = Slots();
  const std::string counts = Counts();

  Reopen();

  EXPECT_EQ(Slots(), slots);
  EXPECT_EQ(Counts(), counts);
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
}

TEST_F(BatchLedgerTest, ListsNewestFirstPageByPage) {
  for (int i = 1; i <= 5; ++i) {
    Order(1, absl::StrCat(i));
    clock_.Advance(absl::Seconds(1));
  }
  ASSERT_TRUE(ledger_->ChangeBatch("batch-2", BatchChange::kEnd).ok());
  const auto list = [this](const BatchQuery& query) {
    const auto found = ledger_->ListBatches(query);
    EXPECT_TRUE(found.ok()) << found.status();
    return absl::StrJoin(*found, " ",
                         [](std::string* out, const Batch& batch) { *out += batch.id; });
  };

  EXPECT_EQ(list({.limit = 2}), "batch-5 batch-4");
  EXPECT_EQ(list({.older_than_id = "batch-4", .limit = 2}), "batch-3 batch-2");
  EXPECT_EQ(list({.states = {BatchState::kEnded}}), "batch-2");
  EXPECT_FALSE(ledger_->ListBatches({.older_than_id = "none"}).ok());
  EXPECT_EQ(ledger_->FindBatchesThatTakeBoards()->front().id, "batch-1");
}

TEST_F(BatchLedgerTest, DeploymentsAreFoundByTheirBatch) {
  Order(2);
  ASSERT_TRUE(Take("a").ok());
  ASSERT_TRUE(ledger_->CreateDeployment(MakeDeployment("alone"), PayloadFor).ok());

  const auto found = ledger_->ListDeployments({.batch_id = "batch-1"});

  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().id, "deployment-a");
}

}  // namespace
}  // namespace kiln::storage
