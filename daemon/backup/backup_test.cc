#include "daemon/backup/backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/fake_clock.h"
#include "base/unique_fd.h"
#include "daemon/backup/backup_folder.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"

namespace kiln::backup {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kRecord[] = "customer-BGK001-2026-11-26-7cdfa100be01.json";
constexpr char kDailyCsv[] = "esp32-deployments-2026-11-26.csv";

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    for (const std::string& folder :
         {options_.state_directory, absl::StrCat(options_.state_directory, "/", kImagesFolder),
          absl::StrCat(options_.state_directory, "/", kBundlesFolder),
          absl::StrCat(options_.export_directory, "/failed")}) {
      EXPECT_TRUE(files_.CreateDirectories(folder, 0755).ok());
    }
    ledger_ = storage::MustOpen(absl::StrCat(options_.state_directory, "/ledger.db"), clock_);
    EXPECT_TRUE(ledger_->AppendEvent({.kind = 5, .subject = "station", .payload = "x"}).ok());
    Put(absl::StrCat(options_.state_directory, "/", kImagesFolder, "/", Sum("image")), "image");
    Put(absl::StrCat(options_.state_directory, "/", kBundlesFolder, "/", Sum("id"), ".json"), "{}");
    Put(absl::StrCat(options_.export_directory, "/", kRecord), "a record");
    Put(absl::StrCat(options_.export_directory, "/", kDailyCsv), "header\r\n");
    Put(absl::StrCat(options_.export_directory, "/failed/", kRecord), "a failure");
    Put(absl::StrCat(options_.export_directory, "/shopping-list.txt"), "not ours");
  }

  static std::string Sum(absl::string_view text) {
    return base::HexOf(base::Sha256(base::AsBytes(text)));
  }
  void Put(const std::string& path, const std::string& content) {
    EXPECT_TRUE(
        files_.WriteFileAtomically(path, content, base::FileSystem::IfExists::kReplace, 0640).ok());
  }
  std::vector<std::string> BackupNames() {
    return *files_.ListDirectory(options_.backup_directory);
  }
  BackupStatus Status() { return *ReadBackupStatus(files_, options_.state_directory); }

  storage::TemporaryFolder folder_;
  base::FakeClock clock_;
  base::FileSystem& files_ = base::SystemFileSystem();
  BackupOptions options_{.station_id = "bench-1",
                         .kiln_version = "0.1.0",
                         .state_directory = folder_.Path("state"),
                         .export_directory = folder_.Path("records"),
                         .backup_directory = folder_.Path("backups"),
                         .keep = 7};
  std::unique_ptr<storage::Ledger> ledger_;
};

TEST_F(BackupTest, HoldsLedgerBundlesAndRecordsOfARunningStation) {
  const auto outcome = CreateBackup(options_, files_, clock_);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->bundles, 1);
  EXPECT_EQ(outcome->records, 3);
  EXPECT_EQ(outcome->facts.ledger.last_sequence, 1);
  EXPECT_GT(outcome->bytes, 0U);
  // As an administrator would look at it: tar and sha256sum find everything whole.
  const std::string out = folder_.Path("unpacked");
  ASSERT_TRUE(files_.CreateDirectories(out, 0755).ok());
  ASSERT_EQ(
      std::system(absl::StrCat("tar -xzf ", outcome->path, " -C ", out, " && cd ", out,
                               " && sha256sum --quiet --strict -c SHA256SUMS && "
                               "[ $(wc -l < SHA256SUMS) = $(find . -type f | grep -vc SUMS) ]")
                      .c_str()),
      0);
  EXPECT_EQ(storage::ReadBytes(absl::StrCat(out, "/records/failed/", kRecord)), "a failure");
  EXPECT_FALSE(files_.Exists(absl::StrCat(out, "/records/shopping-list.txt")));
}

TEST_F(BackupTest, IsPrivateAndLeavesNothingUnfinished) {
  const auto outcome = CreateBackup(options_, files_, clock_);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  struct stat info = {};
  ASSERT_EQ(::stat(outcome->path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, mode_t{0600});
  EXPECT_THAT(BackupNames(), ElementsAre(".lock", StartsWith("kiln-bench-1-")));
}

TEST_F(BackupTest, KeepsTheNewestOnes) {
  options_.keep = 2;
  std::vector<std::string> made;
  for (int i = 0; i < 4; ++i) {
    const auto outcome = CreateBackup(options_, files_, clock_);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    made.push_back(outcome->path.substr(options_.backup_directory.size() + 1));
    if (i == 0)
      Put(absl::StrCat(options_.backup_directory, "/kiln-other-20200101T000000Z.tar.gz"), "");
    clock_.Advance(absl::Hours(24));
  }
  EXPECT_THAT(BackupNames(),
              AllOf(Contains(made[3]), Contains(made[2]), Not(Contains(made[1])),
                    Not(Contains(made[0])), Contains("kiln-other-20200101T000000Z.tar.gz")));
}

TEST_F(BackupTest, TellsHowItWent) {
  ASSERT_TRUE(CreateBackup(options_, files_, clock_).ok());
  EXPECT_TRUE(Status().ok);
  const absl::Time success = Status().success_time;
  EXPECT_EQ(success, absl::FromUnixSeconds(absl::ToUnixSeconds(clock_.Now())));

  clock_.Advance(absl::Hours(24));
  ledger_.reset();
  ASSERT_TRUE(files_.RemoveAll(absl::StrCat(options_.state_directory, "/ledger.db")).ok());
  const auto outcome = CreateBackup(options_, files_, clock_);

  EXPECT_TRUE(errors::Is(outcome.status(), errors::ErrorCode::kBackupFailed)) << outcome.status();
  EXPECT_FALSE(Status().ok);
  EXPECT_THAT(Status().problem, HasSubstr("no ledger"));
  EXPECT_EQ(Status().success_time, success);
  EXPECT_GT(Status().attempt_time, success);
}

TEST_F(BackupTest, AFailureLeavesTheOlderBackupsAlone) {
  options_.keep = 1;
  ASSERT_TRUE(CreateBackup(options_, files_, clock_).ok());
  const std::vector<std::string> before = BackupNames();
  clock_.Advance(absl::Hours(24));
  // A record that cannot be read stands for any trouble half way through.
  const std::string record = absl::StrCat(options_.export_directory, "/customer-X-broken.json");
  ASSERT_TRUE(files_.CreateDirectories(record, 0755).ok());

  const auto outcome = CreateBackup(options_, files_, clock_);

  EXPECT_TRUE(errors::Is(outcome.status(), errors::ErrorCode::kBackupFailed)) << outcome.status();
  EXPECT_EQ(BackupNames(), before);
}

TEST_F(BackupTest, WithoutItsFolderOfRecordsItIsNoBackup) {
  ASSERT_TRUE(files_.RemoveAll(options_.export_directory).ok());
  const auto outcome = CreateBackup(options_, files_, clock_);
  EXPECT_TRUE(errors::Is(outcome.status(), errors::ErrorCode::kBackupFailed)) << outcome.status();
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr(options_.export_directory));
  EXPECT_FALSE(Status().ok);
}

TEST_F(BackupTest, AStationThatNeverFailedHasNoFolderOfFailures) {
  ASSERT_TRUE(files_.RemoveAll(absl::StrCat(options_.export_directory, "/failed")).ok());
  const auto outcome = CreateBackup(options_, files_, clock_);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->records, 2);
}

TEST_F(BackupTest, APipeAmongTheRecordsDoesNotHoldItUp) {
  const std::string pipe = absl::StrCat(options_.export_directory, "/customer-X-pipe.json");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto outcome = CreateBackup(options_, files_, clock_);
  EXPECT_TRUE(errors::Is(outcome.status(), errors::ErrorCode::kBackupFailed)) << outcome.status();
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr(pipe));
}

TEST_F(BackupTest, OneThatIsRefusedBesideAnotherLeavesNoWordOfItself) {
  ASSERT_TRUE(CreateBackup(options_, files_, clock_).ok());
  const BackupStatus before = Status();
  clock_.Advance(absl::Hours(1));
  const base::UniqueFd other(
      ::open(absl::StrCat(options_.backup_directory, "/.lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);

  const auto outcome = CreateBackup(options_, files_, clock_);

  EXPECT_TRUE(errors::Is(outcome.status(), errors::ErrorCode::kBackupFailed)) << outcome.status();
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr("another backup"));
  EXPECT_TRUE(Status().ok);
  EXPECT_EQ(Status().attempt_time, before.attempt_time);
}

TEST_F(BackupTest, ClearsUpAfterOneThatWasKilled) {
  ASSERT_TRUE(files_.CreateDirectories(options_.backup_directory, 0755).ok());
  Put(absl::StrCat(options_.backup_directory, "/.unfinished-ledger.db"), "half");
  Put(absl::StrCat(options_.backup_directory, "/.unfinished-kiln-x.tar.gz"), "half");
  ASSERT_TRUE(CreateBackup(options_, files_, clock_).ok());
  EXPECT_THAT(BackupNames(), Not(Contains(StartsWith(".unfinished"))));
}

TEST_F(BackupTest, TheLaterOfTwoInOneSecondStays) {
  ASSERT_TRUE(CreateBackup(options_, files_, clock_).ok());
  ASSERT_TRUE(ledger_->AppendEvent({.kind = 5, .subject = "station", .payload = "y"}).ok());
  const auto later = CreateBackup(options_, files_, clock_);
  ASSERT_TRUE(later.ok()) << later.status();
  const auto archive = ArchiveReader::Open(later->path);
  ASSERT_TRUE(archive.ok()) << archive.status();
  EXPECT_EQ(ReadBackup(**archive, {}, {})->ledger.last_sequence, 2);
}

TEST_F(BackupTest, WorksWithTheStationStopped) {
  ledger_.reset();
  ASSERT_TRUE(CreateBackup(options_, files_, clock_).ok());
}

}  // namespace
}  // namespace kiln::backup
