#include "storage/due_records.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"

namespace kiln::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DueRecordsTest : public ::testing::Test {
 protected:
  // A deployment whose attempt failed with `record` due.
  Deployment Fail(const std::string& name, const std::string& record) {
    Deployment row = ledger_->CreateDeployment(MakeDeployment(name), PayloadFor)->deployment;
    row.state = DeploymentState::kFailed;
    row.due_record = record;
    const auto updated = ledger_->UpdateDeployment(row, row.sequence, PayloadFor);
    EXPECT_TRUE(updated.ok()) << updated.status();
    return updated.ok() ? *updated : Deployment();
  }

  std::vector<std::string> Due(int limit = 100) {
    const auto due = ledger_->FindDueRecords(limit);
    EXPECT_TRUE(due.ok()) << due.status();
    std::vector<std::string> seen;
    for (const DueRecord& record : *due) {
      seen.push_back(absl::StrCat(record.deployment_id, " ", record.attempt, " ", record.sequence,
                                  " ", record.content));
    }
    return seen;
  }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const std::string path_ = folder_.Path("ledger.db");
  std::unique_ptr<Ledger> ledger_ = MustOpen(path_, clock_);
};

TEST_F(DueRecordsTest, AreKeptWithTheEndUntilTheyAreForgotten) {
  const Deployment failed = Fail("1", "what happened");
  EXPECT_EQ(failed.due_record, "");
  ledger_ = nullptr;
  ledger_ = MustOpen(path_, clock_);

  EXPECT_THAT(Due(), ElementsAre("deployment-1 1 2 what happened"));
  ASSERT_TRUE(ledger_->ForgetDueRecord("deployment-1", 1).ok());
  EXPECT_THAT(Due(), IsEmpty());
  EXPECT_TRUE(ledger_->ForgetDueRecord("deployment-1", 1).ok());
}

TEST_F(DueRecordsTest, ForgettingAppendsNoEvent) {
  Fail("1", "what happened");

  ASSERT_TRUE(ledger_->ForgetDueRecord("deployment-1", 1).ok());

  EXPECT_EQ(*ledger_->LastSequence(), 2);
  EXPECT_EQ(VerdictOf(*ledger_), "ok");
}

TEST_F(DueRecordsTest, EveryAttemptHasItsOwnAndLaterChangesLeaveItAlone) {
  Deployment row = Fail("1", "first");
  row.attempt = 2;
  row.state = DeploymentState::kPending;
  row = *ledger_->UpdateDeployment(row, row.sequence, PayloadFor);
  row.state = DeploymentState::kFailed;
  row.due_record = "second";
  row = *ledger_->UpdateDeployment(row, row.sequence, PayloadFor);

  EXPECT_THAT(Due(), ElementsAre("deployment-1 1 2 first", "deployment-1 2 4 second"));
  ASSERT_TRUE(ledger_->ForgetDueRecord("deployment-1", 1).ok());
  EXPECT_THAT(Due(), ElementsAre("deployment-1 2 4 second"));
}

TEST_F(DueRecordsTest, OldestEndComesFirstAndTheLimitHolds) {
  Fail("2", "b");
  Fail("1", "a");

  EXPECT_THAT(Due(), ElementsAre("deployment-2 1 2 b", "deployment-1 1 4 a"));
  EXPECT_THAT(Due(1), ElementsAre("deployment-2 1 2 b"));
  EXPECT_TRUE(absl::IsInvalidArgument(ledger_->FindDueRecords(0).status()));
}

TEST_F(DueRecordsTest, AnUpdateThatIsRefusedKeepsNone) {
  Deployment row = ledger_->CreateDeployment(MakeDeployment("1"), PayloadFor)->deployment;
  row.due_record = "what happened";

  EXPECT_TRUE(absl::IsAborted(ledger_->UpdateDeployment(row, 7, PayloadFor).status()));

  EXPECT_THAT(Due(), IsEmpty());
}

TEST_F(DueRecordsTest, NeverHoldThePassword) {
  Deployment row = ledger_->CreateDeployment(MakeDeployment("1"), PayloadFor)->deployment;
  row.state = DeploymentState::kFailed;
  row.wifi_password = "correct-horse-7";
  row.due_record = "it said correct-horse-7";

  const auto updated = ledger_->UpdateDeployment(row, row.sequence, PayloadFor);

  EXPECT_TRUE(absl::IsInternal(updated.status())) << updated.status();
  EXPECT_EQ(ledger_->GetDeployment(row.id)->state, DeploymentState::kPending);
  EXPECT_THAT(Due(), IsEmpty());
}

}  // namespace
}  // namespace kiln::storage
