#include "base/file_system.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/fake_file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::base {
namespace {

using ::testing::ElementsAre;

std::string MakeTemporaryFolder() {
  std::string pattern = absl::StrCat(::testing::TempDir(), "/kiln-fs-XXXXXX");
  return ::mkdtemp(pattern.data());
}

// The fake must keep the same promises as the disk, so both run the same tests.
class FileSystemTest : public ::testing::TestWithParam<bool> {
 protected:
  FileSystemTest() : real_(GetParam()), root_(real_ ? MakeTemporaryFolder() : "/root") {
    EXPECT_TRUE(fs().CreateDirectories(root_, 0755).ok());
  }
  ~FileSystemTest() override { EXPECT_TRUE(fs().RemoveAll(root_).ok()); }

  FileSystem& fs() { return real_ ? SystemFileSystem() : fake_; }
  std::string Path(absl::string_view name) const { return absl::StrCat(root_, "/", name); }
  std::string Read(absl::string_view name) { return fs().ReadFile(Path(name), 1 << 20).value(); }

  FakeFileSystem fake_;
  bool real_;
  std::string root_;
};

TEST_P(FileSystemTest, WritesAndReadsBack) {
  ASSERT_TRUE(fs().WriteFileAtomically(Path("a"), "one", FileSystem::IfExists::kFail, 0600).ok());
  EXPECT_EQ(Read("a"), "one");
  EXPECT_THAT(fs().ListDirectory(root_).value(), ElementsAre("a"));
}

TEST_P(FileSystemTest, NeverReplacesUnlessAsked) {
  ASSERT_TRUE(fs().WriteFileAtomically(Path("a"), "one", FileSystem::IfExists::kFail, 0600).ok());
  const absl::Status second =
      fs().WriteFileAtomically(Path("a"), "two", FileSystem::IfExists::kFail, 0600);
  EXPECT_TRUE(absl::IsAlreadyExists(second)) << second;
  EXPECT_EQ(Read("a"), "one");
  ASSERT_TRUE(
      fs().WriteFileAtomically(Path("a"), "two", FileSystem::IfExists::kReplace, 0600).ok());
  EXPECT_EQ(Read("a"), "two");
  EXPECT_THAT(fs().ListDirectory(root_).value(), ElementsAre("a"));
}

TEST_P(FileSystemTest, RefusesToReadMoreThanTheLimit) {
  ASSERT_TRUE(fs().WriteFileAtomically(Path("a"), "12345", FileSystem::IfExists::kFail, 0600).ok());
  EXPECT_TRUE(fs().ReadFile(Path("a"), 5).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(fs().ReadFile(Path("a"), 4).status()));
}

TEST_P(FileSystemTest, NamesMissingThings) {
  EXPECT_TRUE(absl::IsNotFound(fs().ReadFile(Path("none"), 10).status()));
  EXPECT_TRUE(absl::IsNotFound(fs().ListDirectory(Path("none")).status()));
  EXPECT_TRUE(absl::IsNotFound(
      fs().WriteFileAtomically(Path("none/a"), "x", FileSystem::IfExists::kFail, 0600)));
  EXPECT_FALSE(fs().Exists(Path("none")));
}

TEST_P(FileSystemTest, AppendsTheHeaderOnce) {
  ASSERT_TRUE(fs().AppendDurably(Path("log"), "h\n", "1\n", 0600).ok());
  ASSERT_TRUE(fs().AppendDurably(Path("log"), "h\n", "2\n", 0600).ok());
  EXPECT_EQ(Read("log"), "h\n1\n2\n");
}

TEST_P(FileSystemTest, RenamesFoldersWithoutReplacing) {
  ASSERT_TRUE(fs().CreateDirectories(Path("a/b"), 0755).ok());
  ASSERT_TRUE(fs().WriteFileAtomically(Path("a/b/c"), "x", FileSystem::IfExists::kFail, 0600).ok());
  ASSERT_TRUE(fs().RenameNoReplace(Path("a"), Path("z")).ok());
  EXPECT_EQ(Read("z/b/c"), "x");
  EXPECT_FALSE(fs().Exists(Path("a")));
  ASSERT_TRUE(fs().CreateDirectories(Path("y"), 0755).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(fs().RenameNoReplace(Path("z"), Path("y"))));
}

TEST_P(FileSystemTest, RemovesTreesAndForgivesMissingOnes) {
  ASSERT_TRUE(fs().CreateDirectories(Path("a/b"), 0755).ok());
  EXPECT_TRUE(fs().RemoveAll(Path("a")).ok());
  EXPECT_FALSE(fs().Exists(Path("a")));
  EXPECT_TRUE(fs().RemoveAll(Path("a")).ok());
}

TEST_P(FileSystemTest, KnowsWhetherAFolderTakesFiles) {
  EXPECT_TRUE(fs().CheckWritable(root_).ok());
  EXPECT_FALSE(fs().CheckWritable(Path("none")).ok());
  EXPECT_GT(fs().FreeBytes(root_).value(), 0u);
}

INSTANTIATE_TEST_SUITE_P(RealAndFake, FileSystemTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Real" : "Fake"; });

TEST(RealFileSystemTest, GivesNewFilesTheAskedMode) {
  const std::string folder = MakeTemporaryFolder();
  const std::string path = folder + "/secret";
  ASSERT_TRUE(
      SystemFileSystem().WriteFileAtomically(path, "x", FileSystem::IfExists::kFail, 0600).ok());
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_TRUE(SystemFileSystem().RemoveAll(folder).ok());
}

TEST(FakeFileSystemTest, FailsWritesOnRequestAndKeepsTheOldContent) {
  FakeFileSystem fs;
  ASSERT_TRUE(fs.WriteFileAtomically("/a", "old", FileSystem::IfExists::kFail, 0600).ok());
  fs.FailWritesAfter(1, absl::ResourceExhaustedError("disk full"));
  ASSERT_TRUE(fs.WriteFileAtomically("/b", "fits", FileSystem::IfExists::kFail, 0600).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      fs.WriteFileAtomically("/a", "new", FileSystem::IfExists::kReplace, 0600)));
  EXPECT_EQ(fs.ReadFile("/a", 10).value(), "old");
}

// Files that are shared must not turn private because somebody else narrows the process's mask.
TEST(RealFileSystemModeTest, ModesDoNotDependOnTheUmask) {
  const std::string folder = ::testing::TempDir() + "/kiln-umask-" + std::to_string(::getpid());
  FileSystem& fs = SystemFileSystem();
  ASSERT_TRUE(fs.CreateDirectories(folder, 0700).ok());
  const mode_t before = ::umask(0077);
  const absl::Status written =
      fs.WriteFileAtomically(folder + "/a", "x", FileSystem::IfExists::kFail, 0644);
  const absl::Status appended = fs.AppendDurably(folder + "/b", "h\n", "l\n", 0664);
  ::umask(before);
  ASSERT_TRUE(written.ok()) << written;
  ASSERT_TRUE(appended.ok()) << appended;
  struct stat status{};
  ASSERT_EQ(::stat((folder + "/a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644u);
  ASSERT_EQ(::stat((folder + "/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0664u);

  ASSERT_EQ(::chmod((folder + "/b").c_str(), 0600), 0);
  EXPECT_TRUE(fs.AppendDurably(folder + "/b", "h\n", "m\n", 0664).ok());
  ASSERT_EQ(::stat((folder + "/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u) << "an existing file keeps what it was given";
  EXPECT_TRUE(fs.RemoveAll(folder).ok());
}

}  // namespace
}  // namespace kiln::base
