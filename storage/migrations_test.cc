#include "storage/migrations.h"

#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"

namespace kiln::storage {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

// Tests run from the source folder.
std::string FixtureOf(int version) {
  return ReadBytes(absl::StrCat("storage/testdata/ledger_v", version, ".sql"));
}

// Everything a schema consists of.
std::string SchemaOf(const std::string& path) {
  RawDatabase raw(path);
  return raw.Query(
      "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY type, name; "
      "SELECT m.name, c.* FROM sqlite_schema m, pragma_table_xinfo(m.name) c "
      "WHERE m.type = 'table' ORDER BY m.name, c.cid");
}

class MigrationTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    RawDatabase raw(path_);
    ASSERT_EQ(raw.Run(FixtureOf(GetParam())), "");
  }

  // Of the fixtures' fifth and last event.
  static std::string BackupName() {
    return absl::StrCat("ledger.db.schema-", GetParam(), ".sequence-5-1b691cb7.backup");
  }
  std::string BackupPath() const { return folder_.Path(BackupName()); }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const std::string path_ = folder_.Path("ledger.db");
};

TEST_P(MigrationTest, EndsWithTheSchemaOfANewLedger) {
  const std::string fresh = folder_.Path("fresh.db");
  MustOpen(fresh, clock_);

  MustOpen(path_, clock_);

  EXPECT_EQ(SchemaOf(path_), SchemaOf(fresh));
  RawDatabase raw(path_);
  EXPECT_EQ(raw.Query("PRAGMA user_version"), absl::StrCat(LatestSchemaVersion()));
}

TEST_P(MigrationTest, KeepsEveryDeploymentEventAndSecret) {
  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);

  const absl::StatusOr<std::vector<Deployment>> list = ledger->ListDeployments({});
  ASSERT_TRUE(list.ok()) << list.status();
  std::vector<std::string> seen;
  for (const Deployment& row : *list) {
    seen.push_back(absl::StrCat(row.id, " ", row.customer_id, " ", static_cast<int>(row.state), " ",
                                row.has_wifi_password ? "secret" : "none", " ", row.sequence));
  }
  EXPECT_THAT(seen, ElementsAre("old-3 BGK003 1 none 5", "old-2 BGK002 2 secret 4",
                                "old-1 BGK001 3 secret 3"));
  EXPECT_EQ(ledger->GetDeployment("old-1")->wifi_password, "correct-horse-7");
  EXPECT_EQ(ledger->GetDeployment("old-2")->wifi_password, "battery-staple-9");
  EXPECT_EQ(ledger->GetDeployment("old-1")->organization, "โรงงานกรุงเทพ");
  const absl::StatusOr<VerifyResult> verified = ledger->Verify();
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_TRUE(verified->ok) << verified->problem;
  EXPECT_EQ(verified->events_checked, 5);
  // As Python's hashlib computed it when the fixture was written.
  EXPECT_EQ(verified->head_hex, "1b691cb726aa5d92c0b49cdb4e9d3234b21b6c9ca40fdf2b1906f9a011a53b88");
}

TEST_P(MigrationTest, GoesOnWhereTheOldLedgerStopped) {
  std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
  Deployment row = *ledger->GetDeployment("old-2");
  row.state = DeploymentState::kSucceeded;

  const absl::StatusOr<Deployment> updated =
      ledger->UpdateDeployment(row, row.sequence, PayloadFor);

  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->sequence, 6);
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

TEST_P(MigrationTest, LeavesACompletePrivateCopyOfTheOldLedger) {
  {
    MustOpen(path_, clock_);
  }

  ASSERT_THAT(folder_.Names(), ElementsAre("ledger.db", "ledger.db.lock", BackupName()));
  RawDatabase copy(BackupPath());
  EXPECT_EQ(copy.Query("PRAGMA user_version"), absl::StrCat(GetParam()));
  EXPECT_EQ(copy.Query("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(copy.Query("SELECT count(*), max(sequence) FROM events"), "5|5");
}

TEST_P(MigrationTest, ACopyIsALedgerAgainWhenPutBack) {
  {
    MustOpen(path_, clock_);
  }
  CopyFile(BackupPath(), path_);

  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);

  EXPECT_EQ(*ledger->LastSequence(), 5);
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

TEST_P(MigrationTest, AFailedMigrationLeavesTheOldSchema) {
  // A name that the migration from each schema wants.
  constexpr const char* kWanted[] = {"chain_head", "due_records", "batches"};
  ASSERT_LT(GetParam() - 1, static_cast<int>(std::size(kWanted)));
  {
    RawDatabase raw(path_);
    ASSERT_EQ(raw.Run(absl::StrCat("CREATE TABLE ", kWanted[GetParam() - 1], "(x)")), "");
  }
  const std::string before = SchemaOf(path_);

  const absl::Status status = Ledger::Open(path_, clock_).status();

  EXPECT_FALSE(status.ok());
  RawDatabase raw(path_);
  EXPECT_EQ(raw.Query("PRAGMA user_version"), absl::StrCat(GetParam()));
  EXPECT_EQ(SchemaOf(path_), before);
  EXPECT_THAT(folder_.Names(), Contains(BackupName()));
}

TEST_P(MigrationTest, ADamagedOldLedgerIsNotMigrated) {
  {
    RawDatabase raw(path_);
    ASSERT_EQ(raw.Run("DROP TRIGGER events_are_never_changed;"
                      "UPDATE events SET payload = x'00' WHERE sequence = 5"),
              "");
  }
  const std::string before = ReadBytes(path_);

  const absl::Status status = Ledger::Open(path_, clock_).status();

  EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kLedgerDamaged)) << status;
  EXPECT_TRUE(ReadBytes(path_) == before) << "the file was changed";
  EXPECT_THAT(folder_.Names(), ElementsAre("ledger.db", "ledger.db.lock"));
}

INSTANTIATE_TEST_SUITE_P(FromEverySchema, MigrationTest,
                         ::testing::Range(1, LatestSchemaVersion()));

TEST(MigrationsTest, EverySchemaBeforeTheLatestHasAFixture) {
  for (int version = 1; version < LatestSchemaVersion(); ++version) {
    EXPECT_FALSE(FixtureOf(version).empty()) << version;
  }
}

}  // namespace
}  // namespace kiln::storage
