#include "storage/ledger_file.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
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

class LedgerFileTest : public ::testing::Test {
 protected:
  // A ledger with `events` events, closed.
  void MakeLedger(int events) {
    std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
    for (int i = 0; i < events; ++i) {
      ASSERT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station", .payload = "x"}).ok());
    }
  }

  // Leaves the ledger as a crash would: file and log copied while it is open.
  void MakeCrashedLedger() {
    const std::string live = folder_.Path("live.db");
    std::unique_ptr<Ledger> ledger = MustOpen(live, clock_);
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station", .payload = "x"}).ok());
    }
    CopyFile(live, path_);
    CopyFile(live + "-wal", path_ + "-wal");
  }

  absl::Status OpenStatus() { return Ledger::Open(path_, clock_).status(); }

  static mode_t ModeOf(const std::string& path) {
    struct stat facts = {};
    EXPECT_EQ(::stat(path.c_str(), &facts), 0) << path;
    return facts.st_mode & 0777;
  }

  TemporaryFolder folder_;
  base::FakeClock clock_;
  const std::string path_ = folder_.Path("ledger.db");
};

TEST_F(LedgerFileTest, ANewLedgerIsPrivateWithAllItsFiles) {
  const mode_t old_mask = ::umask(0);
  std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
  ASSERT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station"}).ok());
  ::umask(old_mask);

  EXPECT_THAT(folder_.Names(),
              ElementsAre("ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"));
  for (const std::string& name : folder_.Names()) {
    EXPECT_EQ(ModeOf(folder_.Path(name)), mode_t{0600}) << name;
  }
  ledger.reset();
  EXPECT_THAT(folder_.Names(), ElementsAre("ledger.db", "ledger.db.lock"));
}

TEST_F(LedgerFileTest, TightensTheModeOfALedgerThatWasCopiedAbout) {
  MakeLedger(1);
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);

  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);

  EXPECT_EQ(ModeOf(path_), mode_t{0600});
}

TEST_F(LedgerFileTest, KeepsTheDurabilityItPromises) {
  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);
  RawDatabase raw(path_);

  EXPECT_EQ(raw.Query("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(raw.Query("PRAGMA application_id"), absl::StrCat(kApplicationId));
  EXPECT_EQ(raw.Query("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = "
                      "'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'"),
            "0");
  // synchronous is a connection's own setting; 2 is FULL.
  auto writer = SqliteDatabase::Open(path_, {.access = SqliteDatabase::Access::kWrite});
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(*(*writer)->QueryInt("PRAGMA synchronous"), 2);
  EXPECT_EQ(*(*writer)->QueryInt("PRAGMA foreign_keys"), 1);
  EXPECT_EQ(*(*writer)->QueryInt("PRAGMA trusted_schema"), 0);
}

TEST_F(LedgerFileTest, ReadConnectionsCannotWrite) {
  MakeLedger(1);
  for (const auto access :
       {SqliteDatabase::Access::kRead, SqliteDatabase::Access::kReadImmutable}) {
    auto reader = SqliteDatabase::Open(path_, {.access = access});
    ASSERT_TRUE(reader.ok()) << reader.status();
    const absl::Status refused = (*reader)->Execute("CREATE TABLE t(x)");
    EXPECT_TRUE(errors::Is(refused, errors::ErrorCode::kLedgerWriteFailed)) << refused;
    EXPECT_EQ(*(*reader)->QueryInt("PRAGMA query_only"), 1);
    EXPECT_EQ(*(*reader)->QueryInt("PRAGMA wal_autocheckpoint"), 0);
  }
}

TEST_F(LedgerFileTest, ASecondLedgerOnTheSameFileIsRefusedWithTheHoldersPid) {
  std::unique_ptr<Ledger> first = MustOpen(path_, clock_);

  const absl::Status second = OpenStatus();

  EXPECT_TRUE(errors::Is(second, errors::ErrorCode::kLedgerWriteFailed)) << second;
  EXPECT_TRUE(absl::StrContains(second.message(), "in use by another process")) << second;
  EXPECT_TRUE(absl::StrContains(second.message(), absl::StrCat("pid ", ::getpid()))) << second;
  EXPECT_TRUE(first->AppendEvent({.kind = 5, .subject = "station"}).ok());
  first.reset();
  EXPECT_TRUE(OpenStatus().ok()) << OpenStatus();
}

TEST_F(LedgerFileTest, AnotherProcessIsRefusedToo) {
  const std::unique_ptr<Ledger> first = MustOpen(path_, clock_);

  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const absl::Status status = OpenStatus();
    ::_exit(errors::Is(status, errors::ErrorCode::kLedgerWriteFailed) ? 7 : 1);
  }
  int wait_status = 0;
  ASSERT_EQ(::waitpid(child, &wait_status, 0), child);

  ASSERT_TRUE(WIFEXITED(wait_status));
  EXPECT_EQ(WEXITSTATUS(wait_status), 7);
}

TEST_F(LedgerFileTest, RecoversTheLogOfACrash) {
  MakeCrashedLedger();

  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);

  EXPECT_EQ(*ledger->LastSequence(), 20);
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

TEST_F(LedgerFileTest, AHalfMadeLedgerOfACutOffStartIsMadeAnew) {
  WriteBytes(path_ + ".new", "half a file");
  WriteBytes(path_ + ".new-journal", "and its journal");

  const std::unique_ptr<Ledger> ledger = MustOpen(path_, clock_);

  EXPECT_EQ(*ledger->LastSequence(), 0);
  EXPECT_EQ(VerdictOf(*ledger), "ok");
}

TEST_F(LedgerFileTest, OddPathsAreOnlyPaths) {
  for (const char* name : {"a b#c?d=e&mode=memory%20.db", "บัญชี.db", "file:x.db", ":memory:"}) {
    const std::string path = folder_.Path(name);
    {
      ASSERT_TRUE(MustOpen(path, clock_)->AppendEvent({.kind = 5, .subject = "s"}).ok());
    }
    EXPECT_EQ(*MustOpen(path, clock_)->LastSequence(), 1) << name;
  }
}

TEST_F(LedgerFileTest, AMissingFolderIsAClearError) {
  const absl::Status status = Ledger::Open(folder_.Path("no/where/ledger.db"), clock_).status();

  EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kLedgerWriteFailed)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "No such file or directory")) << status;
}

// Every kind of damage: refused with advice, and nothing is touched.
struct Damage {
  const char* name;
  void (*inflict)(const std::string& path);
  const char* said;  // part of the message
};

void Overwrite(const std::string& path, size_t offset, const std::string& bytes) {
  std::string content = ReadBytes(path);
  ASSERT_GT(content.size(), offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
  WriteBytes(path, content);
}

void RunRaw(const std::string& path, const std::string& sql) {
  RawDatabase raw(path);
  ASSERT_EQ(raw.Run(sql), "");
}

const Damage kDamages[] = {
    {"Empty", [](const std::string& path) { WriteBytes(path, ""); }, "it has only 0 bytes"},
    {"NotADatabase", [](const std::string& path) { WriteBytes(path, std::string(5000, 'x')); },
     "not an SQLite database"},
    {"OfAnotherProgram", [](const std::string& path) { RunRaw(path, "PRAGMA application_id=77"); },
     "another program (application id 77)"},
    {"NoSchema", [](const std::string& path) { RunRaw(path, "PRAGMA user_version=0"); },
     "it has no schema"},
    {"CutInTheMiddle",
     [](const std::string& path) {
       const std::string content = ReadBytes(path);
       WriteBytes(path, absl::string_view(content).substr(0, content.size() / 2));
     },
     "malformed"},
    {"CutWithinThePage",
     [](const std::string& path) {
       const std::string content = ReadBytes(path);
       WriteBytes(path, absl::string_view(content).substr(0, content.size() - 1000));
     },
     "not a whole number of pages"},
    {"GarbageInThePages",
     [](const std::string& path) { Overwrite(path, 4096, std::string(4096 * 3, '\xa5')); }, ""},
    {"GarbageInTheSchema",
     [](const std::string& path) { Overwrite(path, 100, std::string(200, '\xa5')); }, ""},
    {"BrokenHead",
     [](const std::string& path) { RunRaw(path, "UPDATE chain_head SET hash = zeroblob(32)"); },
     "its head says"},
    {"HeadGone", [](const std::string& path) { RunRaw(path, "DELETE FROM chain_head"); },
     "the head of the event chain is missing"},
    {"TablesGone", [](const std::string& path) { RunRaw(path, "DROP TABLE chain_head"); },
     "its table chain_head is missing"},
    {"GuardsGone",
     [](const std::string& path) { RunRaw(path, "DROP TRIGGER events_are_never_changed"); },
     "its trigger events_are_never_changed is missing"},
};

class DamagedLedgerTest : public LedgerFileTest, public ::testing::WithParamInterface<Damage> {};

TEST_P(DamagedLedgerTest, IsRefusedWithAdviceAndLeftUntouched) {
  MakeLedger(30);
  GetParam().inflict(path_);
  const std::string before = ReadBytes(path_);
  const std::vector<std::string> names = folder_.Names();

  const absl::Status status = OpenStatus();

  EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kLedgerDamaged)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), GetParam().said)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "restore the newest backup")) << status;
  EXPECT_TRUE(ReadBytes(path_) == before) << "the file was changed";
  EXPECT_EQ(folder_.Names(), names);
}

INSTANTIATE_TEST_SUITE_P(Kinds, DamagedLedgerTest, ::testing::ValuesIn(kDamages),
                         [](const auto& info) { return info.param.name; });

TEST_F(LedgerFileTest, ADamagedLedgerWithALogIsLeftUntouchedToo) {
  MakeCrashedLedger();
  // The log of 20 commits covers the pages of the events; the others come from the file.
  std::string content = ReadBytes(path_);
  for (size_t page = 1; (page + 1) * 4096 <= content.size(); ++page) {
    content.replace(page * 4096, 64, std::string(64, '\xa5'));
  }
  WriteBytes(path_, content);
  const std::string log = ReadBytes(path_ + "-wal");

  const absl::Status status = OpenStatus();

  EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kLedgerDamaged)) << status;
  EXPECT_TRUE(ReadBytes(path_) == content) << "the file was changed";
  EXPECT_TRUE(ReadBytes(path_ + "-wal") == log) << "the log was changed";
}

TEST_F(LedgerFileTest, ALogWithoutItsLedgerIsNotSwallowedByANewOne) {
  MakeCrashedLedger();
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  const std::string log = ReadBytes(path_ + "-wal");

  const absl::Status status = OpenStatus();

  EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kLedgerDamaged)) << status;
  EXPECT_TRUE(ReadBytes(path_ + "-wal") == log);
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(LedgerFileTest, AFolderInThePlaceOfTheLedgerIsRefused) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);

  const absl::Status status = OpenStatus();

  EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kLedgerDamaged)) << status;
}

TEST_F(LedgerFileTest, ANewerSchemaIsRefusedAndLeftUntouched) {
  MakeLedger(3);
  RunRaw(path_, absl::StrCat("PRAGMA user_version=", LatestSchemaVersion() + 1));
  const std::string before = ReadBytes(path_);

  const absl::Status status = OpenStatus();

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "newer Kiln")) << status;
  EXPECT_TRUE(ReadBytes(path_) == before) << "the file was changed";
}

}  // namespace
}  // namespace kiln::storage
