#include "daemon/backup/restore.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/fake_clock.h"
#include "daemon/backup/backup.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"
#include "storage/migrations.h"

namespace kiln::backup {
namespace {

using errors::ErrorCode;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kRecord[] = "customer-BGK001-2026-11-26-7cdfa100be01.json";

// A station with three events when it is backed up, and five when the backup is restored.
class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() {
    for (const std::string& folder : {state_, absl::StrCat(state_, "/", kImagesFolder),
                                      absl::StrCat(state_, "/", kBundlesFolder), records_}) {
      EXPECT_TRUE(files_.CreateDirectories(folder, 0755).ok());
    }
    AppendEvents("old", 3);
    Put(absl::StrCat(state_, "/", kImagesFolder, "/", Sum("image")), "image");
    Put(absl::StrCat(records_, "/", kRecord), "a record");
    clock_.Advance(absl::Hours(1));
    const auto outcome = CreateBackup({.station_id = "bench-1",
                                       .kiln_version = "0.1.0",
                                       .state_directory = state_,
                                       .export_directory = records_,
                                       .backup_directory = folder_.Path("backups")},
                                      files_, clock_);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    archive_ = outcome.ok() ? outcome->path : "";
    AppendEvents("new", 2);
    Put(absl::StrCat(state_, "/", kImagesFolder, "/", Sum("later")), "later");
  }

  static std::string Sum(absl::string_view text) {
    return base::HexOf(base::Sha256(base::AsBytes(text)));
  }
  void Put(const std::string& path, const std::string& content) {
    EXPECT_TRUE(
        files_.WriteFileAtomically(path, content, base::FileSystem::IfExists::kReplace, 0640).ok());
  }
  void AppendEvents(const std::string& payload, int count) {
    const auto ledger = storage::MustOpen(absl::StrCat(state_, "/ledger.db"), clock_);
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(ledger->AppendEvent({.kind = 5, .subject = "station", .payload = payload}).ok());
    }
  }
  // Payloads of all events, joined; the ledger must be sound.
  std::string Events() {
    const auto ledger = storage::MustOpen(absl::StrCat(state_, "/ledger.db"), clock_);
    EXPECT_EQ(storage::VerdictOf(*ledger), "ok");
    std::string text;
    const auto events = ledger->ListEvents({});
    EXPECT_TRUE(events.ok()) << events.status();
    if (!events.ok()) return "";
    for (const storage::EventRecord& event : *events) absl::StrAppend(&text, event.payload, " ");
    return text;
  }
  std::vector<std::string> StateNames() { return *files_.ListDirectory(state_); }

  absl::StatusOr<RestoreOutcome> RestoreNow() {
    const auto restore = Restore::Prepare(archive_, options_, files_);
    if (!restore.ok()) return restore.status();
    return (*restore)->Commit(clock_.Now());
  }
  // As the station does at its start.
  void CompleteAtStart() {
    const auto completed = CompleteRestore(options_, files_);
    ASSERT_TRUE(completed.ok()) << completed.status();
    if (!completed->has_value()) return;
    EXPECT_TRUE((*completed)->records_missing.ok());
  }
  // Unpacks the archive, runs a shell command in it, and packs it again with sums that fit.
  void Forge(const std::string& command) {
    const std::string work = folder_.Path("forged");
    const std::string script = absl::StrCat(
        "set -e; mkdir ", work, "; cd ", work, "; tar -xzf ", archive_, "; ", command,
        "; rm SHA256SUMS; find . -type f | sed 's,^./,,' | grep -v '^kiln-backup.json$' > ../names;"
        " sha256sum kiln-backup.json $(cat ../names) > SHA256SUMS; tar --format=ustar -czf ",
        archive_, " kiln-backup.json $(cat ../names) SHA256SUMS");
    ASSERT_EQ(std::system(script.c_str()), 0);
  }

  storage::TemporaryFolder folder_;
  base::FakeClock clock_;
  base::FileSystem& files_ = base::SystemFileSystem();
  const std::string state_ = folder_.Path("state");
  const std::string records_ = folder_.Path("records");
  RestoreOptions options_{.state_directory = state_, .export_directory = records_, .failpoint = {}};
  std::string archive_;
};

TEST_F(RestoreTest, PutsTheBackupInPlaceAndTheOldStateAside) {
  const auto outcome = RestoreNow();

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(Events(), "old old old ");
  EXPECT_FALSE(files_.Exists(absl::StrCat(state_, "/", kImagesFolder, "/", Sum("later"))));
  EXPECT_EQ(storage::ReadBytes(absl::StrCat(state_, "/", kImagesFolder, "/", Sum("image"))),
            "image");
  EXPECT_TRUE(files_.Exists(absl::StrCat(outcome->old_state, "/ledger.db")));
  EXPECT_TRUE(files_.Exists(absl::StrCat(outcome->old_state, "/firmware/images/", Sum("later"))));
  EXPECT_THAT(StateNames(), Not(Contains(StartsWith("restore."))));
}

TEST_F(RestoreTest, WorksOnAnEmptyStation) {
  ASSERT_TRUE(files_.RemoveAll(state_).ok());
  ASSERT_TRUE(files_.RemoveAll(records_).ok());

  const auto restore = Restore::Prepare(archive_, options_, files_);
  ASSERT_TRUE(restore.ok()) << restore.status();
  EXPECT_FALSE((*restore)->present().ok());
  const auto outcome = (*restore)->Commit(clock_.Now());

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->records_written, 1);
  EXPECT_EQ(storage::ReadBytes(absl::StrCat(records_, "/", kRecord)), "a record");
}

TEST_F(RestoreTest, SaysWhatItIsOfAndWhatItReplaces) {
  const auto restore = Restore::Prepare(archive_, options_, files_);
  ASSERT_TRUE(restore.ok()) << restore.status();
  EXPECT_EQ((*restore)->facts().station_id, "bench-1");
  EXPECT_EQ((*restore)->facts().ledger.last_sequence, 3);
  ASSERT_TRUE((*restore)->present().ok());
  EXPECT_EQ((*restore)->present()->last_sequence, 5);
}

TEST_F(RestoreTest, PreparingAloneChangesNothing) {
  const std::vector<std::string> before = StateNames();
  ASSERT_TRUE(Restore::Prepare(archive_, options_, files_).ok());
  EXPECT_EQ(StateNames(), before);
  EXPECT_EQ(Events(), "old old old new new ");
}

TEST_F(RestoreTest, ARecordThatIsThereStaysAsItIs) {
  Put(absl::StrCat(records_, "/", kRecord), "a newer record");
  const auto outcome = RestoreNow();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->records_kept, 1);
  EXPECT_EQ(storage::ReadBytes(absl::StrCat(records_, "/", kRecord)), "a newer record");
}

TEST_F(RestoreTest, RefusesWhileAStationRuns) {
  const auto ledger = storage::MustOpen(absl::StrCat(state_, "/ledger.db"), clock_);
  const absl::Status status = RestoreNow().status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kRestoreRefused)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("in use"));
}

TEST_F(RestoreTest, KeepsAStationFromStartingMeanwhile) {
  const auto restore = Restore::Prepare(archive_, options_, files_);
  ASSERT_TRUE(restore.ok()) << restore.status();
  EXPECT_FALSE(storage::Ledger::Open(absl::StrCat(state_, "/ledger.db"), clock_).ok());
}

TEST_F(RestoreTest, ASecondOneOfTheSameSecondKeepsBothOldStates) {
  const auto first = RestoreNow();
  ASSERT_TRUE(first.ok()) << first.status();
  AppendEvents("between", 1);

  const auto second = RestoreNow();

  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->old_state, first->old_state);
  EXPECT_TRUE(files_.Exists(absl::StrCat(first->old_state, "/ledger.db")));
  EXPECT_TRUE(files_.Exists(absl::StrCat(second->old_state, "/ledger.db")));
  EXPECT_EQ(Events(), "old old old ");
}

TEST_F(RestoreTest, TheStationRemovesWhatABrokenOffOneUnpackedAndNotWhileItAsks) {
  const std::string unpacked = absl::StrCat(state_, "/restore.partial/ledger.db");
  {
    const auto asking = Restore::Prepare(archive_, options_, files_);
    ASSERT_TRUE(asking.ok()) << asking.status();
    CompleteAtStart();
    EXPECT_TRUE(files_.Exists(unpacked));
  }
  ASSERT_TRUE(files_.CreateDirectories(absl::StrCat(state_, "/restore.partial"), 0750).ok());
  Put(unpacked, "of one that was killed");

  CompleteAtStart();

  EXPECT_THAT(StateNames(), Not(Contains(StartsWith("restore."))));
  EXPECT_EQ(Events(), "old old old new new ");
}

TEST_F(RestoreTest, RefusesANewerSchema) {
  const int newer = storage::LatestSchemaVersion() + 1;
  Forge(absl::StrCat("sed -i 's/\"schema\": [0-9]*/\"schema\": ", newer, "/' kiln-backup.json"));
  const absl::Status status = RestoreNow().status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kRestoreRefused)) << status;
  EXPECT_EQ(Events(), "old old old new new ");
}

TEST_F(RestoreTest, RefusesWhatWasTamperedWith) {
  struct Case {
    const char* what;
    std::string command;
  };
  const std::string original = storage::ReadBytes(archive_);
  const Case cases[] = {
      {"an event was changed",
       "sqlite=1; python3 -c \"d=open('ledger.db','rb').read(); i=d.index(b'old'); "
       "open('ledger.db','wb').write(d[:i]+b'bad'+d[i+3:])\""},
      {"the ledger is another", "head -c 40960 /dev/zero > ledger.db"},
      {"the facts are another's",
       "sed -i 's/\"last_sequence\": 3/\"last_sequence\": 2/' kiln-backup.json"},
      {"the ledger is missing", "rm ledger.db"},
      {"a stranger came in", "echo x > firmware/evil"},
  };
  for (const Case& one : cases) {
    storage::WriteBytes(archive_, original);
    ASSERT_TRUE(files_.RemoveAll(folder_.Path("forged")).ok());
    Forge(one.command);
    const absl::Status status = RestoreNow().status();
    EXPECT_TRUE(errors::Is(status, ErrorCode::kBackupDamaged)) << one.what << ": " << status;
    EXPECT_EQ(Events(), "old old old new new ") << one.what;
    EXPECT_THAT(StateNames(), Not(Contains(StartsWith("restore."))));
  }
}

TEST_F(RestoreTest, AFullDiskLeavesTheStationAsItWas) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit old = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = 8 * 1024;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = RestoreNow().status();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);

  EXPECT_TRUE(errors::Is(status, ErrorCode::kDiskFull)) << status;
  EXPECT_EQ(Events(), "old old old new new ");
  EXPECT_THAT(StateNames(), Not(Contains(StartsWith("restore."))));
}

TEST_F(RestoreTest, ARestoreThatIsOnlyLackingRecordsIsCompletedLater) {
  ASSERT_TRUE(files_.RemoveAll(records_).ok());
  Put(records_, "a file where the folder should be");

  EXPECT_FALSE(RestoreNow().ok());
  EXPECT_EQ(Events(), "old old old ");
  const auto still = CompleteRestore(options_, files_);
  ASSERT_TRUE(still.ok() && still->has_value());
  EXPECT_FALSE((*still)->records_missing.ok());

  ASSERT_TRUE(files_.RemoveAll(records_).ok());
  CompleteAtStart();
  EXPECT_EQ(storage::ReadBytes(absl::StrCat(records_, "/", kRecord)), "a record");
  EXPECT_FALSE(CompleteRestore(options_, files_)->has_value());
}

TEST_F(RestoreTest, TheStationLearnsThatItsLedgerWasRestored) {
  EXPECT_FALSE(WasRestored(state_, files_));
  ASSERT_TRUE(RestoreNow().ok());
  EXPECT_TRUE(WasRestored(state_, files_));
  ASSERT_TRUE(ForgetRestored(state_, files_).ok());
  EXPECT_FALSE(WasRestored(state_, files_));
}

// Every place at which a kill can come, in order.
std::vector<std::string> Points() {
  return {"restore:checked",
          "restore:decided",
          "restore:away:ledger.db-wal",
          "restore:away:ledger.db-shm",
          "restore:away:ledger.db-journal",
          "restore:away:ledger.db",
          "restore:marked",
          "restore:ledger",
          "restore:away:firmware",
          "restore:firmware",
          "restore:records",
          "restore:done"};
}

class RestoreCrashTest : public RestoreTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(RestoreCrashTest, EndsInTheOldStateOrTheNewWhereverItIsKilled) {
  ASSERT_TRUE(files_.RemoveAll(absl::StrCat(records_, "/", kRecord)).ok());
  ::testing::GTEST_FLAG(death_test_style) = "fast";
  EXPECT_EXIT(
      {
        options_.failpoint = [](const std::string& point) {
          if (point == GetParam()) ::_exit(42);
        };
        (void)RestoreNow();
        ::_exit(1);
      },
      ::testing::ExitedWithCode(42), "");

  // The next start may be killed at the same place, too.
  EXPECT_EXIT(
      {
        options_.failpoint = [](const std::string& point) {
          if (point == GetParam()) ::_exit(42);
        };
        ::_exit(CompleteRestore(options_, files_).ok() ? 42 : 1);
      },
      ::testing::ExitedWithCode(42), "");
  CompleteAtStart();

  const bool decided = GetParam() != "restore:checked";
  EXPECT_EQ(Events(), decided ? "old old old " : "old old old new new ");
  EXPECT_EQ(files_.Exists(absl::StrCat(state_, "/", kImagesFolder, "/", Sum("later"))), !decided);
  EXPECT_TRUE(files_.Exists(absl::StrCat(state_, "/", kImagesFolder, "/", Sum("image"))));
  EXPECT_EQ(files_.Exists(absl::StrCat(records_, "/", kRecord)), decided);
  EXPECT_EQ(WasRestored(state_, files_), decided);
  // And the next restore finds nothing in its way.
  options_.failpoint = {};
  clock_.Advance(absl::Minutes(1));
  ASSERT_TRUE(RestoreNow().ok());
  EXPECT_EQ(Events(), "old old old ");
}

INSTANTIATE_TEST_SUITE_P(AtEveryPoint, RestoreCrashTest, ::testing::ValuesIn(Points()),
                         [](const auto& info) {
                           std::string name;
                           for (const char c : info.param) {
                             if (absl::ascii_isalnum(static_cast<unsigned char>(c))) name += c;
                           }
                           return name;
                         });

}  // namespace
}  // namespace kiln::backup
