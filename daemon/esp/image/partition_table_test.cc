#include "daemon/esp/image/partition_table.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "daemon/esp/image/testing/image_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using testing::BuildTestPartitionTable;
using ::testing::HasSubstr;
using testing::TestPartitions;
using Bytes = std::vector<uint8_t>;

TEST(PartitionTableTest, ReadsWhatWasWritten) {
  for (const bool with_md5 : {true, false}) {
    const auto table = ParsePartitionTable(BuildTestPartitionTable(TestPartitions(), with_md5));
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->has_md5, with_md5);
    ASSERT_EQ(table->entries.size(), TestPartitions().size());
    for (size_t i = 0; i < table->entries.size(); ++i) {
      const PartitionEntry expected = TestPartitions()[i];
      EXPECT_EQ(table->entries[i].label, expected.label);
      EXPECT_EQ(table->entries[i].type, expected.type);
      EXPECT_EQ(table->entries[i].subtype, expected.subtype);
      EXPECT_EQ(table->entries[i].offset, expected.offset);
      EXPECT_EQ(table->entries[i].size, expected.size);
    }
  }
}

// Independent of the builder: written by hand from the format description.
TEST(PartitionTableTest, ReadsAHandWrittenEntry) {
  Bytes table = {0xAA, 0x50, 0x01, 0x02, 0x00, 0x90, 0x00, 0x00, 0x00, 0x60, 0x00,
                 0x00, 'n',  'v',  's',  0,    0,    0,    0,    0,    0,    0,
                 0,    0,    0,    0,    0,    0,    0,    0,    0,    0};
  table.resize(64, 0xFF);
  const auto parsed = ParsePartitionTable(table);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->entries.size(), 1u);
  EXPECT_EQ(parsed->entries[0].label, "nvs");
  EXPECT_EQ(parsed->entries[0].offset, 0x9000u);
  EXPECT_EQ(parsed->entries[0].size, 0x6000u);
}

TEST(PartitionTableTest, SanitisesLabels) {
  std::vector<PartitionEntry> entries = TestPartitions();
  entries[0].label = "n/../\x1b[31m\xff";
  const auto table = ParsePartitionTable(BuildTestPartitionTable(entries));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->entries[0].label, "n_..___31m_");
}

TEST(PartitionTableTest, RefusesEveryTruncationOfTheUsedPart) {
  const Bytes table = BuildTestPartitionTable(TestPartitions());
  const size_t used = (TestPartitions().size() + 2) * 32;
  for (size_t length = 0; length < used; ++length) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        ParsePartitionTable(absl::MakeConstSpan(table).first(length)).status()))
        << "accepted " << length << " bytes";
  }
  EXPECT_TRUE(ParsePartitionTable(absl::MakeConstSpan(table).first(used)).ok());
}

TEST(PartitionTableTest, RefusesATableWithoutEnd) {
  std::vector<PartitionEntry> entries;
  for (uint32_t i = 0; i < 96; ++i) {
    entries.push_back({"p" + std::to_string(i), 1, 0x82, 0x10000 + i * 0x1000, 0x1000, 0});
  }
  const auto table = ParsePartitionTable(BuildTestPartitionTable(entries, false));
  ASSERT_FALSE(table.ok());
  EXPECT_THAT(std::string(table.status().message()), HasSubstr("does not end within"));
}

TEST(PartitionTableTest, AllowsBootloaderAndTableEntriesBeforeTheTable) {
  std::vector<PartitionEntry> entries = TestPartitions();
  entries.push_back({"boot", kPartitionTypeBootloader, 0, 0x0, 0x8000, 0});
  entries.push_back({"table", kPartitionTypePartitionTable, 0, 0x8000, 0x1000, 0});
  const auto table = ParsePartitionTable(BuildTestPartitionTable(entries));
  EXPECT_TRUE(table.ok()) << table.status();
}

struct Wrong {
  std::string name;
  std::function<void(std::vector<PartitionEntry>&)> entries;
  std::function<void(Bytes&)> bytes;
  std::string message;
};

class WrongTableTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongTableTest, NamesTheOffset) {
  std::vector<PartitionEntry> entries = TestPartitions();
  if (GetParam().entries) GetParam().entries(entries);
  Bytes bytes = BuildTestPartitionTable(entries);
  if (GetParam().bytes) GetParam().bytes(bytes);
  const auto table = ParsePartitionTable(bytes);
  ASSERT_TRUE(absl::IsInvalidArgument(table.status())) << table.status();
  EXPECT_THAT(std::string(table.status().message()), HasSubstr(GetParam().message));
}

using Entries = std::vector<PartitionEntry>;
INSTANTIATE_TEST_SUITE_P(
    All, WrongTableTest,
    ::testing::ValuesIn(std::vector<Wrong>{
        {"Empty", [](Entries& e) { e.clear(); }, [](Bytes& b) { b.assign(0xC00, 0xFF); },
         "at 0x0: the partition table is empty"},
        {"Magic", nullptr, [](Bytes& b) { b[32] = 0xAB; }, "at 0x20: no partition entry"},
        {"Md5", nullptr, [](Bytes& b) { b[28] = 1; }, "at 0xb0: the MD5 does not match"},
        {"Md5Padding", nullptr, [](Bytes& b) { b[5 * 32 + 2] = 0; }, "at 0xa2: the MD5 entry"},
        {"EntryAfterMd5", nullptr, [](Bytes& b) { std::copy_n(b.begin(), 32, b.begin() + 6 * 32); },
         "at 0xc0: a partition entry follows the MD5"},
        {"Overlap", [](Entries& e) { e[0].size = 0x6000; }, nullptr,
         "at 0x20: partition otadata at 0xe000 overlaps nvs, which ends at 0xf000"},
        {"OverTheTable", [](Entries& e) { e[0].offset = 0x8000; }, nullptr,
         "is not behind the partition table"},
        {"AppAlignment", [](Entries& e) { e[2].offset = 0x11000; }, nullptr,
         "at 0x40: partition app0 at 0x11000 is not aligned to 0x10000"},
        {"DataAlignment", [](Entries& e) { e[4].offset = 0x290800; }, nullptr,
         "is not aligned to 0x1000"},
        {"NoSize", [](Entries& e) { e[1].size = 0; }, nullptr,
         "at 0x20: partition otadata is empty"},
        {"OddSize", [](Entries& e) { e[1].size = 0x1800; }, nullptr, "not a multiple of 0x1000"},
        {"BeyondFlash", [](Entries& e) { e[4].size = 0x2000000; }, nullptr,
         "the flash at 0x2000000"},
        {"Wraps", [](Entries& e) { e[4].size = 0xFFFFF000; }, nullptr, "the flash at 0x2000000"},
        {"SameLabel", [](Entries& e) { e[3].label = "app0"; }, nullptr,
         "at 0x6c: two partitions are called \"app0\""},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace kiln::esp
