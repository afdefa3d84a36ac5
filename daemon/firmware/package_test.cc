#include "daemon/firmware/package.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/firmware/package_json.h"
#include "daemon/firmware/testing/package_builder.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using testing::BuildZip;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ZipFiles;
using testing::ZipOptions;

absl::StatusOr<Package> OpenZip(const ZipFiles& files, const ZipOptions& options = {},
                                const ImportLimits& limits = {}) {
  return Package::Open(BuildZip(files, options), "test.zip", limits);
}

void ExpectError(const absl::Status& status, ErrorCode code, const std::string& message) {
  ASSERT_FALSE(status.ok()) << "no error where expected: " << message;
  EXPECT_TRUE(errors::Is(status, code)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST(PackageTest, UnpacksStoredAndDeflatedFiles) {
  for (const bool deflate : {true, false}) {
    const auto package =
        OpenZip({{"a/b.txt", "hello"}, {"a/", ""}, {"c.bin", std::string(9999, 'x')}},
                {.deflate = deflate});
    ASSERT_TRUE(package.ok()) << package.status();
    EXPECT_TRUE(package->is_zip());
    EXPECT_EQ(package->files().size(), 2u);
    EXPECT_EQ(package->Find("a/b.txt"), absl::string_view("hello"));
    EXPECT_EQ(package->Find("c.bin")->size(), 9999u);
    EXPECT_FALSE(package->Find("b.txt").has_value());
  }
}

TEST(PackageTest, TakesASingleFile) {
  const auto package = Package::Open("\xE9garbage", "C:\\work\\merged.bin", {});
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_FALSE(package->is_zip());
  EXPECT_TRUE(package->Find("merged.bin").has_value());
}

TEST(PackageTest, RefusesEmptyPackagesAndZips) {
  ExpectError(Package::Open("", "a.bin", {}).status(), ErrorCode::kBundleInvalid, "empty");
  ExpectError(OpenZip({}).status(), ErrorCode::kBundleInvalid, "zip is empty");
  ExpectError(Package::Open("no zip at all", "a.ZIP", {}).status(), ErrorCode::kBundleInvalid,
              "a.ZIP at 0x0: no zip starts here");
}

TEST(PackageTest, RefusesPathsThatLeaveThePackage) {
  const std::string long_name(600, 'n');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/etc/passwd", "absolute path"},
      {"../evil.bin", "leaves its folder"},
      {"a/../../evil.bin", "leaves its folder"},
      {"a/..", "leaves its folder"},
      {"a/./b", "leaves its folder"},
      {"a//b", "leaves its folder"},
      {"..\\evil.bin", "forbidden character"},
      {"C:evil.bin", "forbidden character"},
      {"a\nb", "forbidden character"},
      {"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", "folders deep"},
      {long_name, "path of 600 bytes"},
  };
  for (const auto& [path, message] : cases) {
    SCOPED_TRACE(path);
    ExpectError(OpenZip({{path, "x"}}).status(), ErrorCode::kBundleInvalid, message);
  }
}

TEST(PackageTest, RefusesDuplicates) {
  ExpectError(OpenZip({{"a", "1"}, {"b", "2"}, {"a", "3"}}).status(), ErrorCode::kBundleInvalid,
              "a: twice in the zip");
}

TEST(PackageTest, RefusesSymbolicLinks) {
  ExpectError(OpenZip({{"a", "/etc/passwd"}}, {.symlinks = true}).status(),
              ErrorCode::kBundleInvalid, "a: symbolic link");
}

TEST(PackageTest, RefusesEncryptedEntries) {
  ExpectError(OpenZip({{"a", "secret"}}, {.encrypted_flag = true}).status(),
              ErrorCode::kBundleUnsupported, "a: encrypted");
}

TEST(PackageTest, RefusesStrangeCompression) {
  ExpectError(OpenZip({{"a", "x"}}, {.compression_method = 14}).status(),
              ErrorCode::kBundleUnsupported, "a: compression method 14");
}

TEST(PackageTest, CountsWhatReallyUnpacks) {
  const ImportLimits limits{.max_unpacked_bytes = 1 << 20};
  const std::string zeros((1 << 20) + 1, '\0');
  const std::string bomb = BuildZip({{"bomb.bin", zeros}});
  ASSERT_LT(bomb.size(), 2000u);
  ExpectError(Package::Open(bomb, "bomb.zip", limits).status(), ErrorCode::kBundleTooLarge,
              "bomb.bin");
  const std::string half(600 << 10, '\0');
  ExpectError(OpenZip({{"a", half}, {"b", half}}, {}, limits).status(), ErrorCode::kBundleTooLarge,
              "b: the zip unpacks to more");
  EXPECT_TRUE(OpenZip({{"a", half}}, {}, limits).ok());
}

TEST(PackageTest, DoesNotBelieveTheClaimedSize) {
  std::string bomb = BuildZip({{"bomb.bin", std::string(3 << 20, '\0')}});
  // The uncompressed size in the local header and in the central directory, both told as 10 bytes.
  const size_t directory = bomb.rfind("PK\x01\x02");
  bomb.replace(22, 4, std::string("\x0a\0\0\0", 4));
  bomb.replace(directory + 24, 4, std::string("\x0a\0\0\0", 4));
  const auto package = Package::Open(bomb, "bomb.zip", {.max_unpacked_bytes = 1 << 20});
  ASSERT_FALSE(package.ok());
  EXPECT_TRUE(errors::Is(package.status(), ErrorCode::kBundleTooLarge) ||
              errors::Is(package.status(), ErrorCode::kBundleInvalid))
      << package.status();
}

TEST(PackageTest, LimitsTheNumberOfFilesAndTheSize) {
  ZipFiles many;
  for (int i = 0; i < 11; ++i) many.emplace_back(absl::StrCat("f", i), "x");
  ExpectError(OpenZip(many, {}, {.max_files = 10}).status(), ErrorCode::kBundleTooLarge,
              "11 files");
  ExpectError(Package::Open(std::string(101, 'x'), "a.bin", {.max_package_bytes = 100}).status(),
              ErrorCode::kBundleTooLarge, "101 bytes");
}

TEST(PackageTest, RefusesEveryTruncationAndDamagedContent) {
  const std::string content = "some content that is compressed, compressed, compressed";
  const std::string zip = BuildZip({{"a.bin", content}, {"b.bin", content}});
  for (size_t length = 0; length < zip.size(); ++length) {
    EXPECT_FALSE(Package::Open(zip.substr(0, length), "a.zip", {}).ok())
        << "accepted " << length << " of " << zip.size() << " bytes";
  }
  std::string damaged = BuildZip({{"a.bin", content}}, {.deflate = false});
  damaged[40] ^= 1;
  ExpectError(Package::Open(damaged, "a.zip", {}).status(), ErrorCode::kBundleInvalid,
              "a.bin at 0x");
}

TEST(PackageTest, ResolvesPathsOnlyInside) {
  const auto package = OpenZip({{"build/app.bin", "x"}, {"top.bin", "y"}});
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->Resolve("build", "app.bin", "m").value(), "build/app.bin");
  EXPECT_EQ(package->Resolve("build", "./app.bin", "m").value(), "build/app.bin");
  EXPECT_EQ(package->Resolve("build", "../top.bin", "m").value(), "top.bin");
  EXPECT_EQ(package->Resolve("", "build/app.bin", "m").value(), "build/app.bin");
  for (const char* path : {"", "/top.bin", "../../top.bin", "..", ".", "C:\\top.bin", "missing.bin",
                           "https://example.com/app.bin", "a//b", "app.bin/"}) {
    const auto resolved = package->Resolve("build", path, "m.json");
    ASSERT_FALSE(resolved.ok()) << path;
    ExpectError(resolved.status(), ErrorCode::kBundleInvalid,
                absl::StrCat("m.json names \"", path));
  }
}

TEST(PackageTest, FindsTheShallowestByName) {
  const auto package = OpenZip({{"x/y/m", "1"}, {"x/m", "2"}, {"z/m", "3"}});
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_THAT(package->FindByName("m", 5), ElementsAre("x/m", "z/m"));
  EXPECT_THAT(package->FindByName("m", 0), ElementsAre());
}

TEST(CleanTextTest, KeepsUtf8AndNothingElse) {
  EXPECT_EQ(CleanText("ร้านค้า shop"), "ร้านค้า shop");
  EXPECT_EQ(CleanText("a\x1b[31mb\n"), "a?[31mb?");
  EXPECT_EQ(CleanText("a\xff\xc0\x80z"), "a???z");
  EXPECT_EQ(CleanText("\xed\xa0\x80"), "???");      // a surrogate
  EXPECT_EQ(CleanText("\xc2\x9b"), "?");            // a C1 control
  EXPECT_EQ(CleanText("\xe0\xb8"), "??");           // cut off
  EXPECT_EQ(CleanText("ab\xe0\xb8\xa3", 4), "ab");  // whole characters only
}

TEST(PackageJsonTest, RefusesWhatIsNoReasonableObject) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  const std::vector<std::string> texts = {"",
                                          "[]",
                                          "1",
                                          "{",
                                          "{\"a\":}",
                                          deep,
                                          "{\"a\":" + deep + "}",
                                          "{\"a\":\"\xff\"}",
                                          std::string(9 << 20, ' ')};
  for (const std::string& text : texts) {
    ExpectError(ParseJsonObject(text, "x.json").status(), ErrorCode::kBundleInvalid, "x.json");
  }
  EXPECT_TRUE(
      ParseJsonObject(R"({"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"["})", "x").ok());
}

TEST(PackageJsonTest, ReadsOffsets) {
  EXPECT_EQ(ParseOffsetText("0x10000", "f", "o").value(), 0x10000u);
  EXPECT_EQ(ParseOffsetText("4096", "f", "o").value(), 4096u);
  EXPECT_EQ(ParseOffset(nlohmann::json(0u), "f", "o").value(), 0u);
  for (const char* text : {"", "0x", "-1", "0x100000000", "4294967296", "1e3", "0xzz", "1 2"}) {
    EXPECT_FALSE(ParseOffsetText(text, "f", "o").ok()) << text;
  }
  for (const nlohmann::json& value :
       {nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json(uint64_t{1} << 32),
        nlohmann::json(), nlohmann::json(true), nlohmann::json::array()}) {
    EXPECT_FALSE(ParseOffset(value, "f", "o").ok()) << value.dump();
  }
}

}  // namespace
}  // namespace kiln::firmware
