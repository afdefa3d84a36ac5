#include "daemon/esp/write_plan.h"

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {

void PrintTo(const Extent& extent, std::ostream* out) {
  *out << "[" << extent.begin << ", " << extent.end << ")";
}

namespace {

constexpr uint32_t kK = 1024;

TEST(SegmentsTest, CutAtFlashAddressesThatAreMultiplesOf64KiB) {
  const struct {
    std::string name;
    uint32_t offset;
    uint32_t size;
    std::vector<Extent> segments;
  } cases[] = {
      {"aligned", 0x10000, 160 * kK, {{0, 64 * kK}, {64 * kK, 128 * kK}, {128 * kK, 160 * kK}}},
      {"bootloader of the ESP32", 0x1000, 70 * kK, {{0, 60 * kK}, {60 * kK, 70 * kK}}},
      {"smaller than a segment", 0x8000, 3072, {{0, 3072}}},
      {"nothing", 0x8000, 0, {}},
      {"up to the last byte of the address space", 0xFFFF0000, 64 * kK, {{0, 64 * kK}}},
  };
  for (const auto& c : cases) EXPECT_EQ(SegmentsOf(c.offset, c.size), c.segments) << c.name;
}

TEST(MostlyDifferentTest, GivesUpComparingAboveSevenEighths) {
  EXPECT_FALSE(MostlyDifferent(7, 8));
  EXPECT_TRUE(MostlyDifferent(8, 8));
  EXPECT_FALSE(MostlyDifferent(14, 16));
  EXPECT_TRUE(MostlyDifferent(15, 16));
  EXPECT_FALSE(MostlyDifferent(0, 1));
}

struct PlanCase {
  std::string name;
  RegionState state;
  bool can_erase;
  std::vector<Extent> writes;
  std::optional<Extent> erase;
};

TEST(PlanWritesTest, WritesWhatDiffersAndErasesWhatIsNotBlank) {
  const uint32_t s = kSegmentBytes;
  const PlanCase cases[] = {
      {"blank chip: content in one go, no tail",
       {4 * s, 3 * s, true, false, {}},
       true,
       {{0, 3 * s}},
       {}},
      {"blank chip, ROM", {4 * s, 3 * s, true, false, {}}, false, {{0, 3 * s}}, {}},
      {"blank chip, image without content", {s, 0, true, false, {}}, true, {}, {}},
      {"neighbours merge, others do not",
       {4 * s, 4 * s, false, false, {{0, s}, {s, 2 * s}, {3 * s, 4 * s}}},
       true,
       {{0, 2 * s}, {3 * s, 4 * s}},
       {}},
      {"tail is blank already", {4 * s, 2 * s, false, true, {{s, 2 * s}}}, true, {{s, 2 * s}}, {}},
      {"only the tail is dirty, stub",
       {4 * s, 2 * s, false, false, {}},
       true,
       {},
       {{2 * s, 4 * s}}},
      {"only the tail is dirty, ROM",
       {4 * s, 2 * s, false, false, {}},
       false,
       {{2 * s, 4 * s}},
       {}},
      {"tail next to a difference, ROM: one write",
       {4 * s, 2 * s, false, false, {{s, 2 * s}}},
       false,
       {{s, 4 * s}},
       {}},
      {"tail with an unfinished sector is erased whole",
       {2 * 4096 + 100, 4096, false, false, {}},
       true,
       {},
       {{4096, 3 * 4096}}},
      {"nothing differs", {4 * s, 4 * s, false, false, {}}, true, {}, {}},
  };
  for (const PlanCase& c : cases) {
    const RegionWrites plan = PlanWrites(c.state, c.can_erase);
    EXPECT_EQ(plan.writes, c.writes) << c.name;
    ASSERT_EQ(plan.erase.has_value(), c.erase.has_value()) << c.name;
    if (c.erase.has_value()) {
      EXPECT_EQ(*plan.erase, *c.erase) << c.name;
    }
  }
}

}  // namespace
}  // namespace kiln::esp
