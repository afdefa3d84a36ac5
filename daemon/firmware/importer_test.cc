#include "daemon/firmware/importer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/digest.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/testing/image_builder.h"
#include "daemon/firmware/bundle_checks.h"
#include "daemon/firmware/testing/package_builder.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using esp::Chip;
using esp::testing::BuildTestFirmware;
using esp::testing::MergeTestFirmware;
using esp::testing::TestFirmware;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;
using namespace testing;  // NOLINT(google-build-using-namespace): the package builder

// An import with the package it points into.
struct Imported {
  std::unique_ptr<Package> package;
  ImportedFirmware firmware;
  CheckedFirmware checked;
};

absl::StatusOr<Imported> Import(const std::string& bytes, const std::string& file_name,
                                const std::string& chip = "") {
  absl::StatusOr<Package> package = Package::Open(bytes, file_name, {});
  if (!package.ok()) return package.status();
  Imported result;
  result.package = std::make_unique<Package>(*std::move(package));
  auto firmware = ImportPackage(*result.package, {.file_name = file_name, .chip = chip});
  if (!firmware.ok()) return firmware.status();
  result.firmware = *std::move(firmware);
  auto checked = CheckFirmware(result.firmware, chip);
  if (!checked.ok()) return checked.status();
  result.checked = *std::move(checked);
  return result;
}

absl::StatusOr<Imported> ImportZip(const ZipFiles& files, const std::string& chip = "") {
  return Import(BuildZip(files), "shop.zip", chip);
}

// "bootloader@0x1000" and so on.
std::vector<std::string> Places(const CheckedFirmware& checked) {
  std::vector<std::string> places;
  for (const ImportedImage& image : checked.images) {
    places.push_back(absl::StrFormat("%s@0x%x", image.label, image.offset));
  }
  return places;
}

std::string BootloaderAt(Chip chip) {
  return absl::StrFormat("bootloader@0x%x", esp::TraitsOf(chip).bootloader_offset);
}

void Replace(ZipFiles& files, const std::string& path, const std::string& content) {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&path](const auto& file) { return file.first == path; });
  ASSERT_NE(found, files.end()) << path;
  found->second = content;
}

void ExpectError(const absl::Status& status, ErrorCode code, const std::string& message) {
  ASSERT_FALSE(status.ok()) << "no error where expected: " << message;
  EXPECT_TRUE(errors::Is(status, code)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST(ImporterTest, ReadsEveryKindForEveryChip) {
  for (const Chip chip : esp::AllChips()) {
    SCOPED_TRACE(std::string(esp::TraitsOf(chip).name));
    const TestFirmware firmware = BuildTestFirmware(chip);
    const std::vector<std::string> plain = {BootloaderAt(chip), "partition-table@0x8000"};

    const auto idf = ImportZip(IdfFiles(firmware));
    ASSERT_TRUE(idf.ok()) << idf.status();
    EXPECT_EQ(idf->firmware.source_kind, "esp-idf");
    EXPECT_EQ(idf->checked.chip, chip);
    EXPECT_EQ(Places(idf->checked), (std::vector<std::string>{plain[0], plain[1], "app@0x10000"}));

    const auto platformio = ImportZip(PlatformioFiles(firmware));
    ASSERT_TRUE(platformio.ok()) << platformio.status();
    EXPECT_EQ(platformio->firmware.source_kind, "platformio");
    EXPECT_EQ(platformio->checked.chip, chip);
    EXPECT_EQ(Places(platformio->checked),
              (std::vector<std::string>{plain[0], plain[1], "otadata@0xe000", "app@0x10000"}));

    const auto web = ImportZip(WebToolsFiles(firmware));
    ASSERT_TRUE(web.ok()) << web.status();
    EXPECT_EQ(web->firmware.source_kind, "esp-web-tools");
    EXPECT_EQ(web->checked.chip, chip);
    EXPECT_EQ(Places(web->checked),
              (std::vector<std::string>{plain[0], plain[1], "app.bin@0x10000"}));

    const auto merged = Import(ToString(MergeTestFirmware(firmware)), "merged.bin");
    ASSERT_TRUE(merged.ok()) << merged.status();
    EXPECT_EQ(merged->firmware.source_kind, "merged-image");
    EXPECT_EQ(merged->checked.chip, chip);
    EXPECT_EQ(Places(merged->checked),
              (std::vector<std::string>{plain[0], plain[1], "app0@0x10000"}));

    // The merged image is cut into exactly what the build had.
    ASSERT_EQ(merged->checked.images.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(base::Sha256(merged->checked.images[i].bytes),
                base::Sha256(idf->checked.images[i].bytes))
          << "image " << i;
    }
  }
}

TEST(IdfImporterTest, TakesTitleVersionAndFactsFromTheProject) {
  const auto imported = ImportZip(IdfFiles(BuildTestFirmware(Chip::kEsp32)));
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->firmware.title, "shop");
  EXPECT_EQ(imported->firmware.version, "v2.0");
  EXPECT_THAT(imported->firmware.facts, Contains(Pair("idf_revision", "v5.3.1")));
  EXPECT_THAT(imported->firmware.facts, Contains(Pair("flash_size", "4MB")));
  ASSERT_TRUE(imported->checked.app.has_value());
  EXPECT_EQ(imported->checked.app->project_name, "kiln-test");
}

TEST(IdfImporterTest, FindsABuildOneFolderDown) {
  ZipFiles files;
  for (const auto& [path, content] : IdfFiles(BuildTestFirmware(Chip::kEsp32C3))) {
    files.emplace_back("build/" + path, content);
  }
  const auto imported = ImportZip(files);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->checked.images.size(), 3u);
}

TEST(IdfImporterTest, LabelsImagesWithoutSections) {
  ZipFiles files = IdfFiles(BuildTestFirmware(Chip::kEsp32));
  Replace(files, "flasher_args.json", R"({"flash_files": {"0x1000": "bootloader/bootloader.bin",
      "0x8000": "partition_table/partition-table.bin", "0x10000": "shop.bin"}})");
  const auto imported = ImportZip(files);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(Places(imported->checked),
            (std::vector<std::string>{"bootloader@0x1000", "partition-table@0x8000",
                                      "shop.bin@0x10000"}));
}

TEST(IdfImporterTest, NamesWhatIsWrongInTheArguments) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "flasher_args.json: not a JSON object"},
      {"{\"flash_files\":", "flasher_args.json: not a JSON object"},
      {"{}", "flasher_args.json: no flash_files"},
      {R"({"flash_files": []})", "no flash_files"},
      {R"({"flash_files": "x"})", "no flash_files"},
      {R"({"flash_files": {"zero": "shop.bin"}})", "\"zero\" is no offset"},
      {R"({"flash_files": {"0x0": 5}})", "names no file"},
      {R"({"flash_files": {"0x0": null}})", "names no file"},
      {R"({"flash_files": {"0x0": "nothing.bin"}})", "names \"nothing.bin\": no such file"},
      {R"({"flash_files": {"0x0": "../shop.bin"}})", "outside the package"},
      {R"({"flash_files": {"0x0": "/etc/passwd"}})", "not a path inside the package"},
      {R"({"flash_files": {"0x10000": "shop.bin"}, "app": 7, "bootloader": [1]})",
       "the package has no bootloader"},
  };
  for (const auto& [arguments, message] : cases) {
    SCOPED_TRACE(arguments);
    ZipFiles files = IdfFiles(BuildTestFirmware(Chip::kEsp32));
    Replace(files, "flasher_args.json", arguments);
    ExpectError(ImportZip(files).status(), ErrorCode::kBundleInvalid, message);
  }
  ZipFiles files = IdfFiles(BuildTestFirmware(Chip::kEsp32));
  Replace(files, "flasher_args.json", R"({"extra_esptool_args": {"chip": "esp8266"}})");
  ExpectError(ImportZip(files).status(), ErrorCode::kBundleUnsupported, "esp8266");
}

TEST(IdfImporterTest, RefusesTwoBuilds) {
  ZipFiles files;
  for (const char* folder : {"a/", "b/"}) {
    for (const auto& [path, content] : IdfFiles(BuildTestFirmware(Chip::kEsp32))) {
      files.emplace_back(folder + path, content);
    }
  }
  ExpectError(ImportZip(files).status(), ErrorCode::kBundleInvalid,
              "two builds in one package: a/flasher_args.json and b/flasher_args.json");
}

TEST(PlatformioImporterTest, PutsFileSystemAndBootAppInTheirPartitions) {
  ZipFiles files = PlatformioFiles(BuildTestFirmware(Chip::kEsp32));
  files.emplace_back(".pio/build/esp32dev/boot_app0.bin", std::string(0x2000, '\x01'));
  files.emplace_back(".pio/build/esp32dev/littlefs.bin", std::string(0x4000, 'L'));
  const auto imported = ImportZip(files);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(Places(imported->checked),
            (std::vector<std::string>{"bootloader@0x1000", "partition-table@0x8000",
                                      "otadata@0xe000", "app@0x10000", "storage@0x290000"}));
  EXPECT_EQ(imported->checked.images[2].bytes[0], 1);
  EXPECT_THAT(imported->firmware.facts, Contains(Pair("environment", "esp32dev")));
}

TEST(PlatformioImporterTest, ClearsOldOtaDataWithoutBootApp) {
  const auto imported = ImportZip(PlatformioFiles(BuildTestFirmware(Chip::kEsp32)));
  ASSERT_TRUE(imported.ok()) << imported.status();
  const ImportedImage& image = imported->checked.images[2];
  EXPECT_EQ(image.label, "otadata");
  EXPECT_EQ(image.bytes.size(), 0x2000u);
  EXPECT_TRUE(std::all_of(image.bytes.begin(), image.bytes.end(),
                          [](uint8_t byte) { return byte == 0xFF; }));
}

TEST(PlatformioImporterTest, FollowsIdeData) {
  ZipFiles files = PlatformioFiles(BuildTestFirmware(Chip::kEsp32));
  files.emplace_back(".pio/build/esp32dev/extra.bin", std::string(100, 'E'));
  files.emplace_back(".pio/build/esp32dev/idedata.json", R"({"extra": {"flash_images": [
      {"offset": "0x1000", "path": "/home/u/.platformio/bootloader_dio_40m.bin"},
      {"offset": "0x8000", "path": "C:\\Users\\u\\.pio\\build\\esp32dev\\partitions.bin"},
      {"offset": "0xe000", "path": "/home/u/.platformio/boot_app0.bin"},
      {"offset": "0x290000", "path": "/home/u/extra.bin"}],
      "application_offset": "0x150000"}})");
  const auto imported = ImportZip(files);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(Places(imported->checked),
            (std::vector<std::string>{"bootloader@0x1000", "partition-table@0x8000",
                                      "otadata@0xe000", "app@0x150000", "extra.bin@0x290000"}));
}

TEST(PlatformioImporterTest, PrefersItselfOverTheArgumentsThatItsBuildLeaves) {
  const TestFirmware firmware = BuildTestFirmware(Chip::kEsp32);
  ZipFiles files = {{"env/firmware.bin", ToString(firmware.app)},
                    {"env/bootloader.bin", ToString(firmware.bootloader)},
                    {"env/partitions.bin", ToString(firmware.partition_table)},
                    {"env/flasher_args.json", R"({"flash_files": {"0x10000": "shop.bin"}})"}};
  const auto imported = ImportZip(files);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->firmware.source_kind, "platformio");
}

TEST(PlatformioImporterTest, NamesWhatIsWrong) {
  const std::string folder = ".pio/build/esp32dev/";
  struct Case {
    std::string name;
    std::function<void(ZipFiles&)> change;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"no bootloader", [](ZipFiles& f) { f.erase(f.begin()); },
       folder + "bootloader.bin: missing"},
      {"no table", [](ZipFiles& f) { f.erase(f.begin() + 1); }, folder + "partitions.bin: missing"},
      {"bad bootloader", [&](ZipFiles& f) { f[0].second = "garbage"; },
       folder + "bootloader.bin at 0x7: the image header"},
      {"bad table", [&](ZipFiles& f) { f[1].second[64] = 'x'; },
       folder + "partitions.bin at 0x40: no partition entry"},
      {"two environments",
       [&](ZipFiles& f) {
         for (size_t i = 0; i < 3; ++i) {
           f.emplace_back(absl::StrReplaceAll(f[i].first, {{"esp32dev", "other"}}), f[i].second);
         }
       },
       "several PlatformIO environments, import one of: .pio/build/esp32dev, .pio/build/other"},
      {"extra missing",
       [&](ZipFiles& f) {
         f.emplace_back(
             folder + "idedata.json",
             R"({"extra": {"flash_images": [{"offset": "0x290000", "path": "/x/y.bin"}]}})");
       },
       folder + "y.bin: missing"},
      {"extra without offset",
       [&](ZipFiles& f) {
         f.emplace_back(folder + "idedata.json",
                        R"({"extra": {"flash_images": [{"path": "/x/y.bin"}]}})");
       },
       "idedata.json: a flash image without path or offset"},
      {"extras of wrong types",
       [&](ZipFiles& f) {
         f.emplace_back(folder + "idedata.json", R"({"extra": {"flash_images": [3, null, []]}})");
       },
       "idedata.json: a flash image without path or offset"},
      {"file system without partition",
       [&](ZipFiles& f) {
         auto entries = esp::testing::TestPartitions();
         entries.pop_back();
         f[1].second = ToString(esp::testing::BuildTestPartitionTable(entries));
         f.emplace_back(folder + "spiffs.bin", "data");
       },
       folder + "spiffs.bin: the partition table has no file system partition"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    ZipFiles files = PlatformioFiles(BuildTestFirmware(Chip::kEsp32));
    test.change(files);
    ExpectError(ImportZip(files).status(), ErrorCode::kBundleInvalid, test.message);
  }
}

TEST(WebToolsImporterTest, TakesTitleAndVersion) {
  const auto imported = ImportZip(WebToolsFiles(BuildTestFirmware(Chip::kEsp32S3)));
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->firmware.title, "Shop");
  EXPECT_EQ(imported->firmware.version, "3.1");
}

// Two builds, each one merged image at offset 0.
ZipFiles TwoBuilds() {
  return {{"web/manifest.json", R"({"name": "Shop", "builds": [
      {"chipFamily": "ESP8266", "parts": [{"path": "old.bin", "offset": 0}]},
      {"chipFamily": "ESP32", "parts": [{"path": "esp32.bin", "offset": 0}]},
      {"chipFamily": "ESP32-C3", "parts": [{"path": "c3.bin", "offset": 0}]}]})"},
          {"web/esp32.bin", ToString(MergeTestFirmware(BuildTestFirmware(Chip::kEsp32)))},
          {"web/c3.bin", ToString(MergeTestFirmware(BuildTestFirmware(Chip::kEsp32C3)))}};
}

TEST(WebToolsImporterTest, ChoosesTheBuildOfTheChipAndCutsMergedParts) {
  for (const Chip chip : {Chip::kEsp32, Chip::kEsp32C3}) {
    const auto imported = ImportZip(TwoBuilds(), std::string(esp::TraitsOf(chip).name));
    ASSERT_TRUE(imported.ok()) << imported.status();
    EXPECT_EQ(imported->checked.chip, chip);
    EXPECT_EQ(
        Places(imported->checked),
        (std::vector<std::string>{BootloaderAt(chip), "partition-table@0x8000", "app0@0x10000"}));
  }
}

TEST(WebToolsImporterTest, AsksForTheChipAmongSeveralBuilds) {
  ExpectError(ImportZip(TwoBuilds()).status(), ErrorCode::kBundleInvalid,
              "several builds, name the chip: ESP8266, ESP32, ESP32-C3");
  ExpectError(ImportZip(TwoBuilds(), "ESP32-H2").status(), ErrorCode::kBundleUnsupported,
              "no build for ESP32-H2; there are: ESP8266, ESP32, ESP32-C3");
  ExpectError(ImportZip(TwoBuilds(), "ESP8266").status(), ErrorCode::kBundleUnsupported,
              "chip \"ESP8266\" is not supported");
}

TEST(WebToolsImporterTest, NamesWhatIsWrongInTheManifest) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"nonsense", "manifest.json: not a JSON object"},
      {R"({"builds": 3})", "builds is no list"},
      {R"({"builds": [{"chipFamily": "ESP32"}]})", "the build has no parts"},
      {R"({"builds": [{"chipFamily": "ESP32", "parts": {}}]})", "the build has no parts"},
      {R"({"builds": [{"chipFamily": "ESP32", "parts": [7]}]})", "a part has no offset"},
      {R"({"builds": [{"chipFamily": "ESP32", "parts": [{"path": "app.bin"}]}]})",
       "a part has no offset"},
      {R"({"builds": [{"chipFamily": "ESP32", "parts": [{"path": "app.bin", "offset": -1}]}]})",
       "offset is no offset"},
      {R"({"builds": [{"chipFamily": "ESP32", "parts": [{"path": 1, "offset": 0}]}]})",
       "names \"\": not a path"},
      {R"({"builds": [{"chipFamily": "ESP32", "parts": [{"path": "https://x.org/a.bin", "offset": 0}]}]})",
       "not a path inside the package"},
      {R"({"builds": [{"chipFamily": "ESP32", "parts": [{"path": "gone.bin", "offset": 0}]}]})",
       "names \"gone.bin\": no such file"},
  };
  for (const auto& [manifest, message] : cases) {
    SCOPED_TRACE(manifest);
    ZipFiles files = WebToolsFiles(BuildTestFirmware(Chip::kEsp32));
    Replace(files, "manifest.json", manifest);
    ExpectError(ImportZip(files).status(), ErrorCode::kBundleInvalid, message);
  }
  ZipFiles files = WebToolsFiles(BuildTestFirmware(Chip::kEsp32));
  Replace(files, "manifest.json", R"({"builds": [1, null, {"chipFamily": ["ESP32"]}]})");
  ExpectError(ImportZip(files).status(), ErrorCode::kBundleUnsupported, "no build for");
}

TEST(MergedImageImporterTest, KeepsDataPartitionsAndLeavesBlankOnesOut) {
  std::vector<uint8_t> merged = MergeTestFirmware(BuildTestFirmware(Chip::kEsp32));
  merged[0xe000] = 1;  // OTA data; NVS stays blank
  merged.resize(0x290000 + 0x100000, 0xFF);
  merged[0x291000] = 'S';
  const auto imported = Import(ToString(merged), "merged.bin");
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(Places(imported->checked),
            (std::vector<std::string>{"bootloader@0x1000", "partition-table@0x8000",
                                      "otadata@0xe000", "app0@0x10000", "storage@0x290000"}));
  EXPECT_EQ(imported->checked.images[2].bytes.size(), 0x2000u);
  EXPECT_EQ(imported->checked.images[4].bytes.size(), 0x100000u);
}

TEST(MergedImageImporterTest, ComesInAZipToo) {
  const auto imported =
      ImportZip({{"README.txt", "x"},
                 {"out/all.bin", ToString(MergeTestFirmware(BuildTestFirmware(Chip::kEsp32P4)))}});
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->checked.chip, Chip::kEsp32P4);
}

TEST(MergedImageImporterTest, NamesTheOffsetOfDamage) {
  struct Case {
    size_t at;
    std::string message;
  };
  for (const Case& test : std::vector<Case>{
           {0x1030, "merged.bin at 0x1000: bootloader: at 0x"},
           {0x8020, "merged.bin at 0x8000: partition table: at 0x20: no partition entry"},
           {0x10040, "merged.bin from 0x10000 at 0x"},
           {0x500, "merged.bin at 0x500: data outside of every partition"},
       }) {
    std::vector<uint8_t> merged = MergeTestFirmware(BuildTestFirmware(Chip::kEsp32));
    merged[test.at] ^= 0x55;
    ExpectError(Import(ToString(merged), "merged.bin").status(), ErrorCode::kBundleInvalid,
                test.message);
  }
}

TEST(MergedImageImporterTest, RefusesEveryInterestingTruncation) {
  const std::vector<uint8_t> merged = MergeTestFirmware(BuildTestFirmware(Chip::kEsp32));
  for (const size_t length :
       {size_t{1}, size_t{0xFFF}, size_t{0x1000}, size_t{0x1017}, size_t{0x1018}, size_t{0x1800},
        size_t{0x7FFF}, size_t{0x8000}, size_t{0x8001}, size_t{0x8020}, size_t{0x80C0},
        size_t{0x9000}, size_t{0x10000}, size_t{0x10001}, size_t{0x10018}, merged.size() - 33,
        merged.size() - 32, merged.size() - 1}) {
    const std::vector<uint8_t> cut(merged.begin(), merged.begin() + static_cast<ptrdiff_t>(length));
    const auto imported = Import(ToString(cut), "merged.bin");
    ASSERT_FALSE(imported.ok()) << "accepted " << length << " bytes";
    EXPECT_TRUE(errors::Is(imported.status(), ErrorCode::kBundleInvalid) ||
                errors::Is(imported.status(), ErrorCode::kBundleUnsupported))
        << imported.status();
  }
}

TEST(ImporterTest, RefusesAnApplicationAlone) {
  const TestFirmware firmware = BuildTestFirmware(Chip::kEsp32C3);
  ExpectError(Import(ToString(firmware.app), "shop.bin").status(), ErrorCode::kBundleInvalid,
              "no partition table at 0x8000");
}

TEST(ImporterTest, RefusesWhatItDoesNotKnow) {
  ExpectError(ImportZip({{"a.txt", "x"}, {"b.txt", "y"}}).status(), ErrorCode::kBundleUnsupported,
              "the zip holds no flasher_args.json");
  std::string garbage(10 << 20, '\0');
  uint32_t noise = 1;
  for (char& c : garbage) c = static_cast<char>((noise = noise * 1664525 + 1013904223) >> 24);
  ExpectError(Import(garbage, "garbage.bin").status(), ErrorCode::kBundleUnsupported,
              "garbage.bin: no bootloader");
}

}  // namespace
}  // namespace kiln::firmware
