#include "daemon/esp/chip.h"

#include <set>

#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

TEST(ChipTest, EveryChipFindsItselfByNameStubAndImageId) {
  std::set<uint16_t> ids;
  for (const Chip chip : AllChips()) {
    const ChipTraits& traits = TraitsOf(chip);
    EXPECT_EQ(traits.chip, chip);
    EXPECT_EQ(ParseChip(traits.name), chip);
    EXPECT_EQ(ParseChip(traits.stub_name), chip);
    EXPECT_EQ(ChipOfImageId(traits.image_chip_id), chip);
    EXPECT_TRUE(ids.insert(traits.image_chip_id).second) << traits.name;
  }
  EXPECT_EQ(AllChips().size(), 10u);
}

TEST(ChipTest, RefusesUnknownNames) {
  EXPECT_FALSE(ParseChip("ESP8266").has_value());
  EXPECT_FALSE(ParseChip("").has_value());
  EXPECT_FALSE(ChipOfImageId(0xffff).has_value());
}

TEST(MacAddressTest, FormatsAndParses) {
  const MacAddress mac = {0x7c, 0xdf, 0xa1, 0x00, 0x0a, 0xff};
  EXPECT_EQ(FormatMac(mac), "7c:df:a1:00:0a:ff");
  EXPECT_EQ(ParseMac("7C:DF:A1:00:0A:FF"), mac);
  for (const char* bad : {"", "7c:df:a1:00:0a", "7c:df:a1:00:0a:ff:00", "7c:df:a1:00:0a:f",
                          "7c:df:a1:00:0a:fg", "7cdfa1000aff"}) {
    EXPECT_FALSE(ParseMac(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace kiln::esp
