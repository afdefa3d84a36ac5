#include "daemon/backup/archive.h"

#include <sys/resource.h>
#include <zlib.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/ledger_test_util.h"

namespace kiln::backup {
namespace {

using storage::ReadBytes;
using storage::WriteBytes;
using ::testing::ElementsAre;
using ::testing::Pair;

const absl::Time kTime = absl::FromUnixSeconds(1'790'000'000);

std::string HexSum(absl::string_view text) {
  return base::HexOf(base::Sha256(base::AsBytes(text)));
}

class ArchiveTest : public ::testing::Test {
 protected:
  // Two texts and one file of `size` bytes.
  void MakeArchive(size_t size) {
    std::string content;
    for (size_t i = 0; i < size; ++i) content += static_cast<char>(i * 7 + i / 251);
    WriteBytes(folder_.Path("content"), content);
    const auto archive = ArchiveWriter::Create(path_);
    ASSERT_TRUE(archive.ok()) << archive.status();
    ASSERT_TRUE((*archive)->AddText("a.txt", "hello\n", kTime).ok());
    const auto sum = (*archive)->AddFile("folder/b.bin", folder_.Path("content"), false);
    ASSERT_TRUE(sum.ok()) << sum.status();
    EXPECT_EQ(*sum, HexSum(content));
    ASSERT_TRUE((*archive)->AddText("empty", "", kTime).ok());
    ASSERT_TRUE((*archive)->Finish().ok());
  }

  // Every file with its content.
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadAll() {
    ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::Open(path_));
    std::vector<std::pair<std::string, std::string>> files;
    for (;;) {
      ASSIGN_OR_RETURN(const std::optional<ArchiveEntry> entry, archive->Next());
      if (!entry.has_value()) return files;
      std::string content;
      char buffer[1000];
      for (;;) {
        ASSIGN_OR_RETURN(const size_t got, archive->Read(buffer, sizeof(buffer)));
        if (got == 0) break;
        content.append(buffer, got);
      }
      files.emplace_back(entry->name, content);
    }
  }

  void WriteGzip(const std::string& tar) {
    gzFile file = ::gzopen(path_.c_str(), "wb");
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(::gzwrite(file, tar.data(), static_cast<unsigned>(tar.size())),
              static_cast<int>(tar.size()));
    ASSERT_EQ(::gzclose(file), Z_OK);
  }

  std::string UnpackedTar() {
    gzFile file = ::gzopen(path_.c_str(), "rb");
    std::string tar(1 << 20, '\0');
    tar.resize(static_cast<size_t>(::gzread(file, tar.data(), 1 << 20)));
    ::gzclose(file);
    return tar;
  }

  storage::TemporaryFolder folder_;
  const std::string path_ = folder_.Path("backup.tar.gz");
};

TEST_F(ArchiveTest, ReadsBackWhatWasWritten) {
  MakeArchive(100'000);
  const auto files = ReadAll();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, ElementsAre(Pair("a.txt", "hello\n"),
                                  Pair("folder/b.bin", ReadBytes(folder_.Path("content"))),
                                  Pair("empty", "")));
}

TEST_F(ArchiveTest, TarUnpacksIt) {
  MakeArchive(70'000);
  const std::string out = folder_.Path("");
  ASSERT_EQ(std::system(absl::StrCat("tar -xzf ", path_, " -C ", out).c_str()), 0);
  EXPECT_EQ(ReadBytes(folder_.Path("a.txt")), "hello\n");
  EXPECT_EQ(ReadBytes(folder_.Path("folder/b.bin")), ReadBytes(folder_.Path("content")));
}

TEST_F(ArchiveTest, WhatTarPackedCanBeRead) {
  WriteBytes(folder_.Path("one"), std::string(513, 'x'));
  const std::string command =
      absl::StrCat("tar --format=ustar -czf ", path_, " -C ", folder_.Path(""), " one");
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto files = ReadAll();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, ElementsAre(Pair("one", std::string(513, 'x'))));
}

TEST_F(ArchiveTest, AFileOfLinesIsTakenUpToItsLastWholeLine) {
  WriteBytes(folder_.Path("csv"), "header\r\nline\r\nhalf a li");
  const auto archive = ArchiveWriter::Create(path_);
  ASSERT_TRUE((*archive)->AddFile("csv", folder_.Path("csv"), true).ok());
  ASSERT_TRUE((*archive)->Finish().ok());
  EXPECT_THAT(*ReadAll(), ElementsAre(Pair("csv", "header\r\nline\r\n")));
}

TEST_F(ArchiveTest, CutOffAnywhereItIsDamaged) {
  MakeArchive(2000);
  const std::string whole = ReadBytes(path_);
  for (size_t size = 0; size < whole.size(); size += 7) {
    WriteBytes(path_, whole.substr(0, size));
    const auto files = ReadAll();
    EXPECT_TRUE(errors::Is(files.status(), errors::ErrorCode::kBackupDamaged))
        << size << ": " << files.status();
  }
}

TEST_F(ArchiveTest, AFlippedBitIsDamagedOrChangesNothing) {
  MakeArchive(2000);
  const std::string whole = ReadBytes(path_);
  const auto content = ReadAll();
  ASSERT_TRUE(content.ok()) << content.status();
  int damaged = 0;
  // Bytes 4 to 9 of a gzip header (time, flags of the packer, system) protect nothing.
  for (size_t at = 10; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    WriteBytes(path_, flipped);
    const auto files = ReadAll();
    // Some bits mean nothing: what fills up the last byte, the length of a code that is not used.
    if (files.ok()) {
      EXPECT_EQ(*files, *content) << at;
    } else {
      ++damaged;
    }
  }
  EXPECT_GT(damaged, static_cast<int>(whole.size()) * 9 / 10);
}

TEST_F(ArchiveTest, HeadersThatAreNotPlainFilesAreRefused) {
  MakeArchive(10);
  const std::string tar = UnpackedTar();
  struct Case {
    const char* what;
    size_t offset;
    std::string bytes;
  };
  const Case cases[] = {
      {"a symbolic link", 156, "2"},
      {"a folder", 156, "5"},
      {"a long name's prefix", 345, "prefix"},
      {"a number that is none", 124, "0000000008x"},
      {"no magic is looked at, the sum is", 148, "000000"},
  };
  for (const Case& one : cases) {
    std::string changed = tar;
    changed.replace(one.offset, one.bytes.size(), one.bytes);
    if (one.offset != 148) {  // a sum that is right for what was changed
      unsigned sum = 0;
      for (size_t i = 0; i < 512; ++i) {
        sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(changed[i]);
      }
      char text[8];
      std::snprintf(text, sizeof(text), "%06o", sum);
      changed.replace(148, 6, text, 6);
    }
    WriteGzip(changed);
    EXPECT_TRUE(errors::Is(ReadAll().status(), errors::ErrorCode::kBackupDamaged)) << one.what;
  }
}

TEST_F(ArchiveTest, SomethingBehindTheEndIsRefused) {
  MakeArchive(10);
  WriteGzip(UnpackedTar() + std::string(512, 'x'));
  EXPECT_TRUE(errors::Is(ReadAll().status(), errors::ErrorCode::kBackupDamaged));
}

TEST_F(ArchiveTest, NoGzipFileIsDamaged) {
  WriteBytes(path_, std::string(5000, 'x'));
  EXPECT_TRUE(errors::Is(ReadAll().status(), errors::ErrorCode::kBackupDamaged));
}

TEST_F(ArchiveTest, AFullDiskSaysSo) {
  // The kernel's own limit on a file's size stands for the disk's.
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit old = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  std::string content;
  uint32_t seed = 1;
  for (int i = 0; i < 300'000; ++i) content += static_cast<char>((seed = seed * 1664525 + 1) >> 24);
  WriteBytes(folder_.Path("content"), content);
  rlimit small = old;
  small.rlim_cur = 64 * 1024;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);

  const auto archive = ArchiveWriter::Create(path_);
  absl::Status status = (*archive)->AddFile("big", folder_.Path("content"), false).status();
  if (status.ok()) status = (*archive)->Finish();

  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_TRUE(errors::Is(status, errors::ErrorCode::kDiskFull)) << status;
}

}  // namespace
}  // namespace kiln::backup
