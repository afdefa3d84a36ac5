#include "clients/cli/zip_folder.h"

#include <stdlib.h>
#include <zip.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

using ::testing::ElementsAre;

class ZipFolderTest : public ::testing::Test {
 protected:
  ZipFolderTest() {
    std::string pattern = ::testing::TempDir() + "/kiln-zip-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~ZipFolderTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = std::filesystem::path(root_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }

  static std::set<std::string> NamesIn(const std::string& zip) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(zip.data(), zip.size(), 0, &error);
    zip_t* archive = zip_open_from_source(source, ZIP_RDONLY, &error);
    EXPECT_NE(archive, nullptr) << zip_error_strerror(&error);
    std::set<std::string> names;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
      names.insert(zip_get_name(archive, static_cast<zip_uint64_t>(i), 0));
    }
    zip_discard(archive);
    zip_error_fini(&error);
    return names;
  }

  std::string root_;
};

TEST_F(ZipFolderTest, TakesWhatImportersLookAtAndNothingElse) {
  Write("flasher_args.json", "{}");
  Write("bootloader/bootloader.bin", "b");
  Write("bootloader/bootloader.elf", "large");
  Write("CMakeFiles/x.bin", "no");
  const auto zip = ZipFolder(root_, 1000);
  ASSERT_TRUE(zip.ok()) << zip.status();
  EXPECT_THAT(NamesIn(*zip), ElementsAre("bootloader/bootloader.bin", "flasher_args.json"));
}

TEST_F(ZipFolderTest, TheSameFilesMakeTheSameBytes) {
  Write("a.bin", "content");
  EXPECT_EQ(ZipFolder(root_, 1000).value(), ZipFolder(root_, 1000).value());
}

TEST_F(ZipFolderTest, RefusesTooMuchAndNothing) {
  EXPECT_TRUE(absl::IsNotFound(ZipFolder(root_, 1000).status()));
  EXPECT_TRUE(absl::IsNotFound(ZipFolder(root_ + "/none", 1000).status()));
  Write("a.bin", "12345678");
  Write("b.bin", "12345678");
  EXPECT_TRUE(absl::IsResourceExhausted(ZipFolder(root_, 15).status()));
}

TEST_F(ZipFolderTest, OfATemplateTakesAllSources) {
  Write("platformio.ini", "");
  Write("kiln-template.toml", "");
  Write("src/deep/main.cpp", "");
  Write(".pio/build/board/firmware.bin", "no");
  Write(".git/config", "no");
  Write(".gitignore", "no");
  const auto zip = ZipTemplate(root_, 1000);
  ASSERT_TRUE(zip.ok()) << zip.status();
  EXPECT_THAT(NamesIn(*zip),
              ElementsAre("kiln-template.toml", "platformio.ini", "src/deep/main.cpp"));
}

}  // namespace
}  // namespace kiln::cli
