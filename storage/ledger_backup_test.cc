#include "storage/ledger_backup.h"

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"
#include "storage/migrations.h"

namespace kiln::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LedgerBackupTest : public ::testing::Test {
 protected:
  static void Append(Ledger& ledger, int events) {
    for (int i = 0; i < events; ++i) {
      ASSERT_TRUE(
          ledger
              .AppendEvent({.kind = 5, .subject = "station", .payload = absl::StrCat("event ", i)})
              .ok());
    }
  }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const std::string path_ = folder_.Path("ledger.db");
  const std::string copy_ = folder_.Path("copy.db");
};

TEST_F(LedgerBackupTest, ACopyOfALedgerInUseHoldsWhatIsOnlyInItsLog) {
  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
  Append(*ledger, 20);

  const auto facts = CopyLedger(path_, copy_);

  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->last_sequence, 20);
  EXPECT_EQ(facts->schema_version, LatestSchemaVersion());
  EXPECT_EQ(facts->head_hex, ledger->Verify()->head_hex);
  struct stat info = {};
  ASSERT_EQ(::stat(copy_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, mode_t{0600});
  Append(*ledger, 1);  // the station goes on
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

TEST_F(LedgerBackupTest, ACopyOpensAsALedgerWithTheSameEvents) {
  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
  Append(*ledger, 5);
  ASSERT_TRUE(CopyLedger(path_, copy_).ok());

  const std::unique_ptr<Ledger> copy = MustOpen(copy_, clock_);

  const auto ours = ledger->ListEvents({});
  const auto theirs = copy->ListEvents({});
  ASSERT_TRUE(ours.ok() && theirs.ok());
  ASSERT_EQ(theirs->size(), ours->size());
  for (size_t i = 0; i < ours->size(); ++i) {
    EXPECT_EQ((*theirs)[i].payload, (*ours)[i].payload);
    EXPECT_EQ((*theirs)[i].time, (*ours)[i].time);
  }
}

TEST_F(LedgerBackupTest, EveryCopyMadeDuringWritesIsOfOneMoment) {
  const std::unique_ptr<Ledger> ledger =
      MustOpen(path_, clock_, {.durable = false, .checkpoint_pages = 4});
  Append(*ledger, 1);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    while (!stop) Append(*ledger, 1);
  });

  int64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string target = absl::StrCat(copy_, i);
    const auto facts = CopyLedger(path_, target);
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_GE(facts->last_sequence, last);
    last = facts->last_sequence;
  }

  stop = true;
  writer.join();
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

TEST_F(LedgerBackupTest, ADamagedLedgerMakesNoGoodCopy) {
  {
    const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
    Append(*ledger, 10);
  }
  RawDatabase raw(path_);
  ASSERT_EQ(raw.Run("DROP TRIGGER events_are_never_changed"), "");
  ASSERT_EQ(raw.Run("UPDATE events SET payload = x'f0f0' WHERE sequence = 4"), "");
  ASSERT_EQ(raw.Run("CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events "
                    "BEGIN SELECT RAISE(ABORT, 'events are never changed'); END"),
            "");

  const auto facts = CopyLedger(path_, copy_);

  EXPECT_TRUE(errors::Is(facts.status(), errors::ErrorCode::kLedgerDamaged)) << facts.status();
  EXPECT_THAT(std::string(facts.status().message()), HasSubstr("event 4"));
}

TEST_F(LedgerBackupTest, ANewerSchemaIsRefused) {
  {
    const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
  }
  ASSERT_EQ(RawDatabase(path_).Run(absl::StrCat("PRAGMA user_version=", LatestSchemaVersion() + 1)),
            "");

  EXPECT_EQ(VerifyLedgerFile(path_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LedgerBackupTest, VerifyingLeavesNothingBehind) {
  {
    const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
  }
  ASSERT_TRUE(VerifyLedgerFile(path_).ok());
  ASSERT_TRUE(ReadLedgerFacts(path_).ok());
  EXPECT_THAT(folder_.Names(), ElementsAre("ledger.db", "ledger.db.lock"));
}

TEST_F(LedgerBackupTest, AMissingLedgerIsNotFound) {
  EXPECT_EQ(CopyLedger(path_, copy_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadLedgerFacts(path_).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace kiln::storage
