#include "daemon/backup/backup_folder.h"

#include <string>

#include "base/fake_file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::backup {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kTime =
    absl::FromCivil(absl::CivilSecond(2026, 11, 26, 2, 0, 0), absl::UTCTimeZone());

TEST(BackupFolderTest, NamesSayStationAndTime) {
  EXPECT_EQ(BackupName("bench-1", kTime), "kiln-bench-1-20261126T020000Z.tar.gz");
}

TEST(BackupFolderTest, FindsThisStationsBackupsNewestFirst) {
  EXPECT_THAT(
      BackupsOf("a", {"kiln-a-20261124T020000Z.tar.gz", "kiln-a-20261126T020000Z.tar.gz",
                      "kiln-a-20261125T020000Z.tar.gz", "kiln-a-b-20261126T020000Z.tar.gz",
                      "kiln-b-20261126T020000Z.tar.gz", "kiln-a-20261126T020000Z.tar.gz.gpg",
                      "kiln-a-20261399T020000Z.tar.gz", "kiln-a-.tar.gz", "last-backup.json"}),
      ElementsAre("kiln-a-20261126T020000Z.tar.gz", "kiln-a-20261125T020000Z.tar.gz",
                  "kiln-a-20261124T020000Z.tar.gz"));
  EXPECT_THAT(BackupsOf("a-b", {"kiln-a-20261124T020000Z.tar.gz"}), IsEmpty());
}

TEST(BackupFolderTest, AStatusReadsBack) {
  base::FakeFileSystem files;
  ASSERT_TRUE(files.CreateDirectories("/b", 0755).ok());
  BackupStatus status;
  status.attempt_time = kTime + absl::Hours(24);
  status.ok = false;
  status.problem = "the disk is full";
  status.success_time = kTime;
  status.file = BackupName("a", kTime);
  status.bytes = 1234;
  ASSERT_TRUE(WriteBackupStatus(files, "/b", status).ok());

  const auto read = ReadBackupStatus(files, "/b");

  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->attempt_time, status.attempt_time);
  EXPECT_EQ(read->ok, status.ok);
  EXPECT_EQ(read->problem, status.problem);
  EXPECT_EQ(read->success_time, status.success_time);
  EXPECT_EQ(read->file, status.file);
  EXPECT_EQ(read->bytes, status.bytes);
}

TEST(BackupFolderTest, APathThatIsNoUtf8IsToldAsFarAsItIs) {
  base::FakeFileSystem files;
  ASSERT_TRUE(files.CreateDirectories("/b", 0755).ok());
  BackupStatus status;
  status.file = "/mnt/\xFF/kiln.tar.gz";
  ASSERT_TRUE(WriteBackupStatus(files, "/b", status).ok());
  EXPECT_EQ(ReadBackupStatus(files, "/b")->file, "/mnt/?/kiln.tar.gz");
}

TEST(BackupFolderTest, NoStatusIsNoBackupYet) {
  base::FakeFileSystem files;
  ASSERT_TRUE(files.CreateDirectories("/b", 0755).ok());
  EXPECT_EQ(ReadBackupStatus(files, "/b")->attempt_time, absl::InfinitePast());
  EXPECT_EQ(ReadBackupStatus(files, "/missing")->success_time, absl::InfinitePast());
}

TEST(BackupFolderTest, ADamagedStatusIsAnErrorAndNeverASuccess) {
  base::FakeFileSystem files;
  ASSERT_TRUE(files.CreateDirectories("/b", 0755).ok());
  const auto write = [&files](const char* text) {
    ASSERT_TRUE(files
                    .WriteFileAtomically("/b/last-backup.json", text,
                                         base::FileSystem::IfExists::kReplace, 0644)
                    .ok());
  };
  write("half a");
  EXPECT_FALSE(ReadBackupStatus(files, "/b").ok());
  write(R"({"ok": "yes", "success_time": 5, "bytes": -1, "attempt_time": "tomorrow"})");
  const auto read = ReadBackupStatus(files, "/b");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_FALSE(read->ok);
  EXPECT_EQ(read->success_time, absl::InfinitePast());
}

}  // namespace
}  // namespace kiln::backup
