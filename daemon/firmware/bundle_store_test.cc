#include "daemon/firmware/bundle_store.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "base/fake_file_system.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/testing/image_builder.h"
#include "daemon/firmware/bundle_manifest.h"
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace testing;  // NOLINT(google-build-using-namespace): the package builder

constexpr char kRoot[] = "/var/lib/kiln/firmware";

class BundleStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  void Reopen() {
    auto store = BundleStore::Open(kRoot, file_system_, clock_, {});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  static std::string IdfZip(Chip chip = Chip::kEsp32, size_t app_bytes = 20000) {
    return BuildZip(IdfFiles(BuildTestFirmware(chip, app_bytes)));
  }

  absl::StatusOr<ImportOutcome> Import(const std::string& package, bool validate_only = false) {
    return store_->Import(package, {.file_name = "shop.zip"}, validate_only);
  }

  std::vector<std::string> Listing(const std::string& folder) {
    return file_system_.ListDirectory(absl::StrCat(kRoot, "/", folder)).value();
  }

  // Every file below the root with its content.
  std::map<std::string, std::string> Snapshot() {
    std::map<std::string, std::string> files;
    for (const char* folder : {"images", "bundles"}) {
      for (const std::string& name : Listing(folder)) {
        const std::string path = absl::StrCat(kRoot, "/", folder, "/", name);
        files[path] = file_system_.ReadFile(path, 100 << 20).value();
      }
    }
    return files;
  }

  base::FakeFileSystem file_system_;
  base::FakeClock clock_;
  std::unique_ptr<BundleStore> store_;
};

TEST_F(BundleStoreTest, StoresABundleThatSurvivesAReopen) {
  const auto outcome = Import(IdfZip());
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->already_existed);
  Reopen();
  const auto bundle = store_->Get(outcome->bundle.id);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_EQ(bundle->id.size(), 64u);
  EXPECT_EQ(bundle->title, "shop");
  EXPECT_EQ(bundle->version, "v2.0");
  EXPECT_EQ(bundle->chip, Chip::kEsp32);
  EXPECT_FALSE(bundle->retired);
  EXPECT_EQ(bundle->create_time, clock_.Now());
  EXPECT_EQ(bundle->provenance.source_kind, "esp-idf");
  EXPECT_EQ(bundle->provenance.source_name, "shop.zip");
  EXPECT_EQ(bundle->provenance.source_sha256.size(), 64u);
  EXPECT_EQ(bundle->provenance.facts.at("app_idf_version"), "v5.3.1");
  EXPECT_EQ(bundle->provenance.facts.at("flash_mode"), "dio");
  ASSERT_EQ(bundle->partitions.size(), 5u);
  ASSERT_NE(bundle->identity_partition(), nullptr);
  EXPECT_EQ(bundle->identity_partition()->label, "nvs");
  EXPECT_EQ(bundle->identity_partition()->offset, 0x9000u);
  const esp::testing::TestFirmware firmware = BuildTestFirmware(Chip::kEsp32);
  ASSERT_EQ(bundle->images.size(), 3u);
  EXPECT_EQ(bundle->total_bytes(),
            firmware.bootloader.size() + firmware.partition_table.size() + firmware.app.size());
  EXPECT_EQ(store_->LoadImage(bundle->images[0]).value(), firmware.bootloader);
  EXPECT_EQ(store_->LoadImage(bundle->images[1]).value(), firmware.partition_table);
  EXPECT_EQ(store_->LoadImage(bundle->images[2]).value(), firmware.app);
}

TEST_F(BundleStoreTest, GivesTheSameContentTheSameIdWhereverItComesFrom) {
  const auto first = Import(IdfZip());
  ASSERT_TRUE(first.ok()) << first.status();
  clock_.Advance(absl::Hours(1));
  const auto before = Snapshot();
  for (const std::string& package :
       {IdfZip(), BuildZip(WebToolsFiles(BuildTestFirmware(Chip::kEsp32))),
        ToString(MergeTestFirmware(BuildTestFirmware(Chip::kEsp32)))}) {
    const auto again = store_->Import(package, {.file_name = "x", .title = "Another"}, false);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(again->already_existed);
    EXPECT_EQ(again->bundle.id, first->bundle.id);
    EXPECT_EQ(again->bundle.title, "shop");
    EXPECT_EQ(again->bundle.create_time, first->bundle.create_time);
  }
  EXPECT_EQ(Snapshot(), before);
}

TEST_F(BundleStoreTest, LetsTheRequestNameTheBundle) {
  const auto outcome = store_->Import(
      IdfZip(), {.file_name = "a\\b/shop.zip", .title = "ร้าน\n", .version = "9"}, false);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->bundle.title, "ร้าน?");
  EXPECT_EQ(outcome->bundle.version, "9");
  EXPECT_EQ(outcome->bundle.provenance.source_name, "shop.zip");
}

TEST_F(BundleStoreTest, TakesTheTitleFromTheApplicationOrTheFile) {
  const auto merged = store_->Import(ToString(MergeTestFirmware(BuildTestFirmware(Chip::kEsp32))),
                                     {.file_name = "all.bin"}, true);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->bundle.title, "kiln-test");
  EXPECT_EQ(merged->bundle.version, "1.2.3");
  esp::testing::TestFirmware arduino = BuildTestFirmware(Chip::kEsp32);
  arduino.app = esp::testing::BuildTestImage(
      {.app_description = true, .project_name = "arduino-lib-builder", .version = "esp-idf: v4"});
  const auto outcome = store_->Import(ToString(MergeTestFirmware(arduino)),
                                      {.file_name = "vending.machine.bin"}, true);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->bundle.title, "vending.machine");
  EXPECT_EQ(outcome->bundle.version, "");
}

TEST_F(BundleStoreTest, ValidatesWithoutStoring) {
  const auto outcome = Import(IdfZip(), true);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->already_existed);
  EXPECT_THAT(Snapshot(), IsEmpty());
  EXPECT_THAT(store_->List(true), IsEmpty());
  ASSERT_TRUE(Import(IdfZip()).ok());
  EXPECT_TRUE(Import(IdfZip(), true)->already_existed);
}

TEST_F(BundleStoreTest, StoresNothingOfBadPackages) {
  ZipFiles missing = IdfFiles(BuildTestFirmware(Chip::kEsp32));
  missing.pop_back();
  ZipFiles escaping = IdfFiles(BuildTestFirmware(Chip::kEsp32));
  escaping.emplace_back("../../etc/cron.d/kiln", "x");
  esp::testing::TestFirmware damaged = BuildTestFirmware(Chip::kEsp32);
  damaged.app[5000] ^= 1;
  const std::vector<std::pair<std::string, ErrorCode>> packages = {
      {"", ErrorCode::kBundleInvalid},
      {std::string(10 << 20, 'g'), ErrorCode::kBundleInvalid},  // called .zip
      {std::string((64 << 20) + 1, 'g'), ErrorCode::kBundleTooLarge},
      {BuildZip(missing), ErrorCode::kBundleInvalid},
      {BuildZip(escaping), ErrorCode::kBundleInvalid},
      {BuildZip(IdfFiles(damaged)), ErrorCode::kBundleInvalid},
      {BuildZip(IdfFiles(damaged), {.encrypted_flag = true}), ErrorCode::kBundleUnsupported},
      {IdfZip().substr(0, 9000), ErrorCode::kBundleInvalid},
      {BuildZip({{"a", std::string(129 << 20, '\0')}}), ErrorCode::kBundleTooLarge},
  };
  for (size_t i = 0; i < packages.size(); ++i) {
    const auto outcome = Import(packages[i].first);
    ASSERT_FALSE(outcome.ok()) << "package " << i;
    EXPECT_TRUE(errors::Is(outcome.status(), packages[i].second))
        << "package " << i << ": " << outcome.status();
    EXPECT_THAT(Snapshot(), IsEmpty()) << "package " << i;
  }
  EXPECT_TRUE(errors::Is(
      store_->Import(IdfZip(), {.file_name = "shop.zip", .chip = "ESP32-C3"}, false).status(),
      ErrorCode::kBundleInvalid));
  EXPECT_THAT(Snapshot(), IsEmpty());
}

TEST_F(BundleStoreTest, LeavesNothingVisibleWhenTheDiskFillsUpAnywhere) {
  ASSERT_TRUE(Import(IdfZip(Chip::kEsp32C6)).ok());
  const auto before = Snapshot();
  bool stored = false;
  int writes = 0;
  for (; !stored && writes < 10; ++writes) {
    file_system_.FailWritesAfter(writes, absl::ResourceExhaustedError("no space left"));
    const auto outcome = Import(IdfZip());
    file_system_.FailWritesAfter(0, absl::OkStatus());
    stored = outcome.ok();
    if (stored) break;
    EXPECT_TRUE(errors::Is(outcome.status(), ErrorCode::kDiskFull)) << outcome.status();
    EXPECT_EQ(Snapshot(), before) << "after " << writes << " writes";
    EXPECT_EQ(store_->List(true).size(), 1u);
    Reopen();
    EXPECT_EQ(store_->List(true).size(), 1u) << "after " << writes << " writes";
    EXPECT_THAT(store_->damaged(), IsEmpty());
  }
  EXPECT_TRUE(stored);
  EXPECT_EQ(writes, 3) << "two images and a manifest; the table is shared";
  EXPECT_EQ(store_->List(true).size(), 2u);
}

TEST_F(BundleStoreTest, SharesImagesBetweenBundlesAndKeepsThemOnFailure) {
  ASSERT_TRUE(Import(IdfZip(Chip::kEsp32, 20000)).ok());
  EXPECT_EQ(Listing("images").size(), 3u);
  const auto before = Snapshot();
  file_system_.FailWritesAfter(1, absl::ResourceExhaustedError("no space left"));
  EXPECT_FALSE(Import(IdfZip(Chip::kEsp32, 30000)).ok());
  file_system_.FailWritesAfter(0, absl::OkStatus());
  EXPECT_EQ(Snapshot(), before);
  ASSERT_TRUE(Import(IdfZip(Chip::kEsp32, 30000)).ok());
  EXPECT_EQ(Listing("images").size(), 4u);
}

TEST_F(BundleStoreTest, ListsNewestFirst) {
  const std::string first = Import(IdfZip(Chip::kEsp32))->bundle.id;
  clock_.Advance(absl::Seconds(1));
  const std::string second = Import(IdfZip(Chip::kEsp32C3))->bundle.id;
  clock_.Advance(absl::Seconds(1));
  const std::string third = Import(IdfZip(Chip::kEsp32S3))->bundle.id;
  ASSERT_TRUE(store_->Retire(second).ok());
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> all;
    for (const Bundle& bundle : store_->List(true)) all.push_back(bundle.id);
    EXPECT_THAT(all, ElementsAre(third, second, first));
    std::vector<std::string> active;
    for (const Bundle& bundle : store_->List(false)) active.push_back(bundle.id);
    EXPECT_THAT(active, ElementsAre(third, first));
    Reopen();
  }
}

TEST_F(BundleStoreTest, RetiresForGoodAndIdempotently) {
  const std::string id = Import(IdfZip())->bundle.id;
  const auto retired = store_->Retire(id.substr(0, 8));
  ASSERT_TRUE(retired.ok()) << retired.status();
  EXPECT_TRUE(retired->retired);
  ASSERT_TRUE(store_->Retire(id).ok());
  Reopen();
  EXPECT_TRUE(store_->Get(id)->retired);
  EXPECT_EQ(store_->LoadImage(store_->Get(id)->images[0]).status(), absl::OkStatus());
  EXPECT_TRUE(errors::Is(store_->Retire("0123456789").status(), ErrorCode::kBundleNotFound));
}

TEST_F(BundleStoreTest, StaysActiveWhenRetiringCannotBeWritten) {
  const std::string id = Import(IdfZip())->bundle.id;
  file_system_.FailWritesAfter(0, absl::ResourceExhaustedError("no space left"));
  EXPECT_TRUE(errors::Is(store_->Retire(id).status(), ErrorCode::kDiskFull));
  file_system_.FailWritesAfter(0, absl::OkStatus());
  EXPECT_FALSE(store_->Get(id)->retired);
  Reopen();
  EXPECT_FALSE(store_->Get(id)->retired);
}

TEST_F(BundleStoreTest, FindsByPrefixOfEightDigits) {
  const std::string id = Import(IdfZip())->bundle.id;
  EXPECT_EQ(store_->Get(id.substr(0, 8))->id, id);
  EXPECT_EQ(store_->Get(absl::AsciiStrToUpper(id.substr(0, 12)))->id, id);
  for (const std::string& wrong :
       {std::string(), id.substr(0, 7), id + "0", std::string("../../etc"), id.substr(1, 20)}) {
    EXPECT_TRUE(errors::Is(store_->Get(wrong).status(), ErrorCode::kBundleNotFound)) << wrong;
  }
}

TEST_F(BundleStoreTest, DetectsDamagedImagesAndRepairsThemByImport) {
  const Bundle bundle = Import(IdfZip())->bundle;
  const std::string path = absl::StrCat(kRoot, "/images/", bundle.images[2].sha256);
  const std::string good = file_system_.ReadFile(path, 100 << 20).value();
  std::string flipped = good;
  flipped[100] ^= 1;
  for (const std::string& bad : {flipped, good.substr(1), good + "x", std::string()}) {
    ASSERT_TRUE(
        file_system_.WriteFileAtomically(path, bad, base::FileSystem::IfExists::kReplace, 0600)
            .ok());
    EXPECT_TRUE(
        errors::Is(store_->LoadImage(bundle.images[2]).status(), ErrorCode::kBundleDamaged));
    EXPECT_TRUE(Import(IdfZip())->already_existed);
    EXPECT_TRUE(store_->LoadImage(bundle.images[2]).ok());
  }
  ASSERT_TRUE(file_system_.RemoveAll(path).ok());
  EXPECT_TRUE(errors::Is(store_->LoadImage(bundle.images[2]).status(), ErrorCode::kBundleDamaged));
  EXPECT_TRUE(Import(IdfZip())->already_existed);
  EXPECT_TRUE(store_->LoadImage(bundle.images[2]).ok());
}

TEST_F(BundleStoreTest, LoadsNoImageByAPath) {
  EXPECT_TRUE(errors::Is(
      store_->LoadImage({.label = "x", .size = 100, .sha256 = "../bundles/x.json"}).status(),
      ErrorCode::kBundleDamaged));
}

TEST_F(BundleStoreTest, ReportsDamagedManifestsAndLeavesThemAlone) {
  const Bundle bundle = Import(IdfZip())->bundle;
  const std::string path = absl::StrCat(kRoot, "/bundles/", bundle.id, ".json");
  const std::string good = file_system_.ReadFile(path, 1 << 20).value();
  const std::vector<std::string> damages = {
      "",
      "{}",
      "null",
      good.substr(0, good.size() / 2),
      std::string(100000, '['),
      absl::StrReplaceAll(good, {{"\"ESP32\"", "\"ESP32-C3\""}}),
      absl::StrReplaceAll(good, {{"\"format\": 1", "\"format\": 2"}}),
      absl::StrReplaceAll(good, {{"\"offset\": 4096", "\"offset\": 8192"}}),
      absl::StrReplaceAll(good, {{"\"offset\": 4096", "\"offset\": -1"}}),
      absl::StrReplaceAll(good, {{"\"subtype\": 2", "\"subtype\": 256"}}),
      absl::StrReplaceAll(good, {{"\"retired\": false", "\"retired\": \"no\""}}),
      absl::StrReplaceAll(good, {{bundle.images[0].sha256, "../../../etc/passwd"}}),
  };
  for (const std::string& damage : damages) {
    SCOPED_TRACE(damage.substr(0, 200));
    ASSERT_NE(damage, good);
    ASSERT_TRUE(
        file_system_.WriteFileAtomically(path, damage, base::FileSystem::IfExists::kReplace, 0600)
            .ok());
    Reopen();
    EXPECT_THAT(store_->damaged(), ElementsAre(path));
    EXPECT_THAT(store_->List(true), IsEmpty());
    EXPECT_EQ(file_system_.ReadFile(path, 1 << 20).value(), damage);
  }
  // Importing the content again makes it whole.
  const auto outcome = Import(IdfZip());
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT(store_->damaged(), IsEmpty());
  Reopen();
  EXPECT_EQ(store_->List(true).size(), 1u);
}

TEST_F(BundleStoreTest, ReportsAManifestUnderAForeignName) {
  const Bundle bundle = Import(IdfZip())->bundle;
  const std::string other = absl::StrCat(kRoot, "/bundles/", std::string(64, 'a'), ".json");
  ASSERT_TRUE(file_system_
                  .WriteFileAtomically(other, EncodeManifest(bundle),
                                       base::FileSystem::IfExists::kFail, 0600)
                  .ok());
  Reopen();
  EXPECT_THAT(store_->damaged(), ElementsAre(other));
  EXPECT_EQ(store_->List(true).size(), 1u);
}

TEST_F(BundleStoreTest, IgnoresLeftoverImagesAndTemporaryFiles) {
  for (const char* name : {"/images/leftover", "/bundles/.kiln-1-2.tmp"}) {
    ASSERT_TRUE(file_system_
                    .WriteFileAtomically(absl::StrCat(kRoot, name), "x",
                                         base::FileSystem::IfExists::kFail, 0600)
                    .ok());
  }
  Reopen();
  EXPECT_THAT(store_->damaged(), IsEmpty());
  EXPECT_THAT(store_->List(true), IsEmpty());
}

TEST_F(BundleStoreTest, FailsToOpenWithoutAWritableFolder) {
  base::FakeFileSystem full;
  full.FailWritesAfter(0, absl::ResourceExhaustedError("no space left"));
  EXPECT_TRUE(
      errors::Is(BundleStore::Open(kRoot, full, clock_, {}).status(), ErrorCode::kDiskFull));
}

TEST_F(BundleStoreTest, DerivesABundleWithOtherValuesOfTheSameImages) {
  const Bundle base = Import(IdfZip())->bundle;
  const ImportRequest request = {.title = "Ward", .nvs_values = {{"app", "ward", "B"}}};
  const Provenance provenance = {"template", "ward", std::string(64, 'a'), {{"k", "v"}}};
  const auto outcome = store_->Derive(base.id, request, provenance);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(outcome->already_existed);
  EXPECT_EQ(Listing("images").size(), base.images.size());

  Reopen();
  const auto derived = store_->Get(outcome->bundle.id);
  ASSERT_TRUE(derived.ok()) << derived.status();
  EXPECT_EQ(derived->nvs_values, request.nvs_values);
  EXPECT_EQ(derived->title, "Ward");
  EXPECT_EQ(derived->version, base.version);
  EXPECT_EQ(derived->provenance.source_kind, "template");
  EXPECT_EQ(derived->provenance.facts.at("k"), "v");
  EXPECT_EQ(derived->provenance.facts.at("app_idf_version"), "v5.3.1");
  EXPECT_TRUE(store_->Derive(derived->id, request, provenance)->already_existed);
  EXPECT_EQ(store_->Derive(derived->id, {}, provenance)->bundle.id, base.id)
      << "the values are replaced, not added to";

  ASSERT_TRUE(store_->Retire(derived->id).ok());
  EXPECT_TRUE(errors::Is(store_->Derive(derived->id, request, provenance).status(),
                         ErrorCode::kBundleRetired));
}

TEST_F(BundleStoreTest, TakesNoValuesWhereTheyHaveNoPlace) {
  esp::testing::TestFirmware firmware = BuildTestFirmware(Chip::kEsp32);
  std::vector<esp::PartitionEntry> partitions = esp::testing::TestPartitions();
  partitions.erase(partitions.begin());
  firmware.partition_table = esp::testing::BuildTestPartitionTable(partitions);
  const std::string package = BuildZip(IdfFiles(firmware));
  const Bundle base = Import(package)->bundle;
  ASSERT_EQ(base.identity_partition(), nullptr);
  const ImportRequest request = {.file_name = "shop.zip", .nvs_values = {{"app", "ward", "B"}}};

  EXPECT_TRUE(
      errors::Is(store_->Import(package, request, false).status(), ErrorCode::kBundleInvalid));
  EXPECT_TRUE(errors::Is(store_->Derive(base.id, request, {}).status(), ErrorCode::kBundleInvalid));
  EXPECT_EQ(store_->List(true).size(), 1u);
}

TEST_F(BundleStoreTest, ServesReadersWhileImporting) {
  const Bundle bundle = Import(IdfZip())->bundle;
  std::vector<std::thread> threads;
  for (const Chip chip : {Chip::kEsp32, Chip::kEsp32C3, Chip::kEsp32C3, Chip::kEsp32S3}) {
    threads.emplace_back([this, chip] {
      const auto outcome = Import(IdfZip(chip));
      EXPECT_TRUE(outcome.ok()) << outcome.status();
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([this, &bundle] {
      for (int round = 0; round < 20; ++round) {
        EXPECT_TRUE(store_->Get(bundle.id).ok());
        EXPECT_TRUE(store_->LoadImage(bundle.images[0]).ok());
        for (const Bundle& listed : store_->List(true)) {
          EXPECT_TRUE(store_->LoadImage(listed.images[2]).ok());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->List(true).size(), 3u);
}

}  // namespace
}  // namespace kiln::firmware
