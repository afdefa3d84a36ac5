#include "simulator/boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "nlohmann/json.hpp"
#include "simulator/demo_image.h"
#include "simulator/flash_memory.h"

namespace kiln::simulator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr esp::MacAddress kMac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 0x01};

std::string Text(const BootResult& result) {
  std::string text;
  for (const BootLine& line : result.lines) text += line.text;
  return text;
}

class BootTest : public ::testing::TestWithParam<esp::Chip> {
 protected:
  BootTest() : flash_(*FindFlashPart("GD25Q32C")) {}

  void LoadDemo(esp::Chip chip) {
    contents_ = MergeDemoImage(MakeDemoImage(chip, 300 * 1024, 1));
    flash_.Load(contents_);
  }
  BootResult Boot(esp::Chip chip) {
    flash_.Load(contents_);
    return BootFromFlash(chip, kMac, flash_, faults_, ResetCause::kPowerOn);
  }

  FlashMemory flash_;
  Faults faults_;
  std::vector<uint8_t> contents_;
};

TEST_P(BootTest, StartsTheDemonstrationImage) {
  LoadDemo(GetParam());

  const BootResult result = Boot(GetParam());

  EXPECT_TRUE(result.started) << Text(result);
  EXPECT_EQ(result.repeat_after, absl::ZeroDuration());
  EXPECT_THAT(Text(result), HasSubstr("{\"kiln\":1,\"mac_address\":\"7c:df:a1:00:00:01\""));
  EXPECT_THAT(Text(result), HasSubstr("\"firmware\":\"1.0.0\""));
}

TEST_P(BootTest, BlankFlashIsABootLoop) {
  const BootResult result = Boot(GetParam());

  EXPECT_FALSE(result.started);
  EXPECT_GT(result.repeat_after, absl::ZeroDuration());
  EXPECT_THAT(Text(result), HasSubstr("invalid header: 0xffffffff"));
}

TEST_P(BootTest, DownloadModeSaysItIsWaiting) {
  const std::string text = DownloadModeText(GetParam(), ResetCause::kPowerOn);
  EXPECT_THAT(text, HasSubstr("(DOWNLOAD"));
  EXPECT_THAT(text, HasSubstr("boot:0x"));
  EXPECT_THAT(text, HasSubstr("waiting for download"));
}

INSTANTIATE_TEST_SUITE_P(AllChips, BootTest,
                         ::testing::ValuesIn(esp::AllChips().begin(), esp::AllChips().end()),
                         [](const auto& info) {
                           return std::string(esp::TraitsOf(info.param).stub_name);
                         });

struct Damage {
  const char* name;
  uint32_t at;  // in flash
  uint8_t flip;
  const char* says;
};

class DamagedBootTest : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedBootTest, IsFoundAndNamed) {
  const Damage& damage = GetParam();
  FlashMemory flash(*FindFlashPart("GD25Q32C"));
  std::vector<uint8_t> contents = MergeDemoImage(MakeDemoImage(esp::Chip::kEsp32C3, 300 * 1024, 1));
  contents.at(damage.at) ^= damage.flip;
  flash.Load(contents);

  const BootResult result =
      BootFromFlash(esp::Chip::kEsp32C3, kMac, flash, Faults(), ResetCause::kPowerOn);

  EXPECT_FALSE(result.started);
  EXPECT_GT(result.repeat_after, absl::ZeroDuration());
  EXPECT_THAT(Text(result), HasSubstr(damage.says));
  EXPECT_THAT(Text(result), Not(HasSubstr("{\"kiln\"")));
}

INSTANTIATE_TEST_SUITE_P(
    Each, DamagedBootTest,
    ::testing::Values(Damage{"BootloaderMagic", 0x0, 0x01, "invalid header"},
                      Damage{"BootloaderChip", 0xC, 0x08, "mismatch chip ID, expected 5, found 13"},
                      Damage{"BootloaderCode", 0x1000, 0x01, "Checksum failed"},
                      Damage{"BootloaderLength", 0x1F, 0x80, "bad length"},
                      Damage{"PartitionMagic", 0x8000, 0x01, "invalid magic number"},
                      Damage{"PartitionOffset", 0x8005, 0x01, "MD5 does not match"},
                      Damage{"AppMagic", 0x10000, 0x01, "has invalid magic byte"},
                      Damage{"AppChip", 0x1000C, 0x01, "mismatch chip ID"},
                      Damage{"AppCode", 0x20000, 0x01, "Checksum failed"},
                      Damage{"AppSegmentCount", 0x10001, 0x80, "invalid segment count"},
                      // The segment's load address is under the digest but not under the checksum.
                      Damage{"AppAddress", 0x10018, 0x10, "Image hash failed"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(BootTest, FaultsChangeWhatTheBoardSaysOfItself) {
  LoadDemo(esp::Chip::kEsp32);
  faults_.identity_mac = "00:11:22:33:44:55";
  faults_.identity_customer = "WRONG1";
  EXPECT_THAT(Text(Boot(esp::Chip::kEsp32)),
              HasSubstr("\"mac_address\":\"00:11:22:33:44:55\",\"customer_id\":\"WRONG1\""));
  faults_.no_identity_line = true;
  EXPECT_THAT(Text(Boot(esp::Chip::kEsp32)), Not(HasSubstr("{\"kiln\"")));
}

}  // namespace
}  // namespace kiln::simulator
