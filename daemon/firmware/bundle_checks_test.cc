#include "daemon/firmware/bundle_checks.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/esp/chip.h"
#include "daemon/esp/image/partition_table.h"
#include "daemon/esp/image/testing/image_builder.h"
#include "daemon/firmware/importer.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using esp::Chip;
using esp::testing::BuildTestFirmware;
using esp::testing::BuildTestImage;
using esp::testing::BuildTestPartitionTable;
using esp::testing::TestFirmware;
using esp::testing::TestPartitions;
using ::testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

// Firmware whose parts a test may change before the check.
struct Parts {
  TestFirmware firmware = BuildTestFirmware(Chip::kEsp32);
  uint32_t bootloader_offset = 0x1000;
  uint32_t table_offset = 0x8000;
  uint32_t app_offset = 0x10000;
  std::string requested_chip;
  std::optional<Chip> declared_chip;
  // More images: label, offset, content.
  struct Extra {
    std::string label;
    uint32_t offset;
    Bytes bytes;
  };
  std::vector<Extra> extras;

  absl::StatusOr<CheckedFirmware> Check() const {
    ImportedFirmware imported;
    imported.chip = declared_chip;
    const auto add = [&imported](const std::string& label, const std::string& source,
                                 uint32_t offset, const Bytes& bytes) {
      imported.images.push_back(
          {.label = label, .source = source, .offset = offset, .bytes = bytes});
    };
    add("app", "app.bin", app_offset, firmware.app);
    add("bootloader", "bootloader.bin", bootloader_offset, firmware.bootloader);
    add("partition-table", "table.bin", table_offset, firmware.partition_table);
    for (const Extra& extra : extras) {
      add(extra.label, extra.label + ".bin", extra.offset, extra.bytes);
    }
    return CheckFirmware(imported, requested_chip);
  }
};

TEST(BundleChecksTest, AcceptsWhatFits) {
  Parts parts;
  parts.requested_chip = "esp32";
  parts.extras.push_back({"nvs", 0x9000, Bytes(0x5000, 0x11)});
  parts.extras.push_back({"app1", 0x150000, BuildTestImage({.chip = Chip::kEsp32})});
  parts.extras.push_back({"files", 0x291000, Bytes(100, 0x22)});
  const auto checked = parts.Check();
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->chip, Chip::kEsp32);
  ASSERT_EQ(checked->images.size(), 6u);
  for (size_t i = 1; i < checked->images.size(); ++i) {
    EXPECT_LT(checked->images[i - 1].offset, checked->images[i].offset);
  }
  ASSERT_EQ(checked->partitions.size(), 5u);
  EXPECT_EQ(checked->partitions[0].label, "nvs");
  EXPECT_EQ(checked->partitions[0].subtype, 2);
}

struct Case {
  std::string name;
  std::function<void(Parts&)> change;
  std::string message;
  ErrorCode code = ErrorCode::kBundleInvalid;
};

class WrongBundleTest : public ::testing::TestWithParam<Case> {};

TEST_P(WrongBundleTest, NamesFileAndOffset) {
  Parts parts;
  GetParam().change(parts);
  const auto checked = parts.Check();
  ASSERT_FALSE(checked.ok());
  EXPECT_TRUE(errors::Is(checked.status(), GetParam().code)) << checked.status();
  EXPECT_THAT(std::string(checked.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongBundleTest,
    ::testing::ValuesIn(std::vector<Case>{
        {"RequestedChip", [](Parts& p) { p.requested_chip = "ESP32-C3"; },
         "bootloader.bin: at 0xc: is for ESP32, requested was ESP32-C3"},
        {"UnknownChip", [](Parts& p) { p.requested_chip = "ESP8266"; },
         "chip \"ESP8266\" is not supported", ErrorCode::kBundleUnsupported},
        {"DeclaredChip", [](Parts& p) { p.declared_chip = Chip::kEsp32S3; },
         "bootloader.bin: is for ESP32, the package says ESP32-S3"},
        {"AppChip", [](Parts& p) { p.firmware.app = BuildTestFirmware(Chip::kEsp32S2).app; },
         "app.bin: at 0xc: is for ESP32-S2, the bootloader for ESP32"},
        {"BootloaderOffset", [](Parts& p) { p.bootloader_offset = 0; },
         "bootloader.bin: the bootloader of ESP32 belongs at 0x1000, not 0x0"},
        {"BootloaderOverTable",
         [](Parts& p) {
           p.firmware.bootloader = BuildTestImage({.chip = Chip::kEsp32, .payload_bytes = 0x7000});
         },
         "table.bin: at 0x8000 in flash overlaps bootloader.bin, which ends at 0x80"},
        {"TableBeforeBootloader", [](Parts& p) { p.table_offset = 0; }, "is before the bootloader"},
        {"TableDamaged", [](Parts& p) { p.firmware.partition_table[32] = 0; },
         "table.bin at 0x20: no partition entry"},
        {"TableTooLong", [](Parts& p) { p.firmware.partition_table.resize(0x1001, 0xFF); },
         "table.bin: a partition table of 0x1001 bytes"},
        {"NoBootloader", [](Parts& p) { p.firmware.bootloader = Bytes(16, 0); },
         "bootloader.bin at 0x10: the image header needs 24 bytes"},
        {"AppChecksum", [](Parts& p) { p.firmware.app[p.firmware.app.size() - 33] ^= 1; },
         "app.bin at 0x"},
        {"AppHash", [](Parts& p) { p.firmware.app.back() ^= 1; }, "the SHA-256 does not match"},
        {"AppCut", [](Parts& p) { p.firmware.app.resize(p.firmware.app.size() / 2); },
         "app.bin at 0x"},
        {"AppIsGarbage", [](Parts& p) { p.firmware.app.assign(5000, 'g'); },
         "app.bin at 0x0: no image starts here: found 0x67"},
        {"AppTooLarge",
         [](Parts& p) {
           p.firmware.app = BuildTestImage({.chip = Chip::kEsp32, .payload_bytes = 0x140000});
         },
         "do not fit partition app0, which ends at 0x150000"},
        {"AppNotAtTheStart", [](Parts& p) { p.app_offset = 0x20000; },
         "app.bin: offset 0x20000 is not the start of app partition app0 at 0x10000"},
        {"NoApp",
         [](Parts& p) {
           p.app_offset = 0x290000;
           p.firmware.app = Bytes(10, 1);
         },
         "the package has no application"},
        {"Misaligned", [](Parts& p) { p.extras.push_back({"x", 0x9004, Bytes(10, 1)}); },
         "x.bin: offset 0x9004 is not a multiple of 0x1000"},
        {"Empty", [](Parts& p) { p.extras.push_back({"x", 0x9000, {}}); },
         "x.bin: the file is empty"},
        {"Overlap",
         [](Parts& p) {
           p.extras.push_back({"x", 0x9000, Bytes(0x1001, 1)});
           p.extras.push_back({"y", 0xa000, Bytes(10, 1)});
         },
         "y.bin: at 0xa000 in flash overlaps x.bin, which ends at 0xa001"},
        {"SameOffset", [](Parts& p) { p.extras.push_back({"x", 0x10000, Bytes(10, 1)}); },
         "overlaps"},
        {"OverTwoPartitions", [](Parts& p) { p.extras.push_back({"x", 0xd000, Bytes(0x1800, 1)}); },
         "do not fit partition nvs, which ends at 0xe000"},
        {"NoPartition", [](Parts& p) { p.extras.push_back({"x", 0x390000, Bytes(10, 1)}); },
         "x.bin: offset 0x390000 is in no partition"},
        {"BeyondFlash", [](Parts& p) { p.extras.push_back({"x", 0x1FFF000, Bytes(0x1001, 1)}); },
         "x.bin: ends at 0x2000001, beyond the largest flash"},
        {"WrapsAround", [](Parts& p) { p.extras.push_back({"x", 0xFFFFF000, Bytes(0x2000, 1)}); },
         "beyond the largest flash"},
        {"SecondTable",
         [](Parts& p) { p.extras.push_back({"partition-table", 0x9000, Bytes(10, 1)}); },
         "a second partition-table"},
        {"TooMany",
         [](Parts& p) {
           for (uint32_t i = 0; i < 62; ++i) {
             p.extras.push_back({"x", 0x290000 + i * 0x1000, Bytes(1, 1)});
           }
         },
         "65 images, more than 64"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace kiln::firmware
