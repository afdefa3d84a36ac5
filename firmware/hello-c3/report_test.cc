#include "firmware/hello-c3/report.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/identity/board_report.h"
#include "daemon/identity/nvs_partition.h"
#include "firmware/hello-c3/partition_table.h"
#include "firmware/hello-c3/testing/memory_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::hello_c3 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint8_t kMac[] = {0x7C, 0xDF, 0xA1, 0x00, 0x00, 0x0F};

struct Value {
  std::string key;
  std::string text;
};

std::string ReportOf(const std::vector<Value>& values) {
  auto partition = *identity::NvsPartition::Create(0x3000);
  for (const Value& value : values) {
    EXPECT_TRUE(partition.PutString("kiln", value.key, value.text).ok());
  }
  const std::vector<uint8_t> image = *partition.Image();
  MemorySource source(image);
  std::string out(REPORT_SIZE, '#');
  const int complete = write_report(source.get(), kMac, "hello 1", out.data());
  EXPECT_EQ(complete != 0, out[0] != '\0');
  return std::string(out.c_str());
}

TEST(ReportTest, SaysWhatAStationConfirms) {
  const std::string line = ReportOf({{"organization", "โรงพยาบาลกรุงเทพ"},
                                     {"customer_id", "BGK001"},
                                     {"application", "Ward \"A\" \\ 1"},
                                     {"ssid", "SMC_ESP32_BGK001_000F"},
                                     {"password", "h7Kp2mQx9RtVwz"},
                                     {"deployment", "0d9c6a52"}});

  const auto report = identity::ParseBoardReport(line);
  ASSERT_TRUE(report.ok()) << report.status() << "\n" << line;
  EXPECT_EQ(report->mac_address, "7c:df:a1:00:00:0f");
  EXPECT_EQ(report->customer_id, "BGK001");
  EXPECT_EQ(report->organization, "โรงพยาบาลกรุงเทพ");
  EXPECT_EQ(report->application, "Ward \"A\" \\ 1");
  EXPECT_EQ(report->wifi_ssid, "SMC_ESP32_BGK001_000F");
  EXPECT_EQ(report->deployment, "0d9c6a52");
  EXPECT_EQ(report->firmware, "hello 1");
  EXPECT_THAT(line, StartsWith("{\"kiln\":1,"));
  EXPECT_THAT(line, Not(HasSubstr("h7Kp2mQx9RtVwz")));
}

TEST(ReportTest, WithoutACustomerThereIsNoReport) {
  EXPECT_EQ(ReportOf({{"ssid", "x"}}), "");
  EXPECT_EQ(ReportOf({{"customer_id", ""}}), "");
}

TEST(ReportTest, ControlCharactersAreEscapedAndSoStayOneLine) {
  const std::string line = ReportOf({{"customer_id", "A\n\x1f"}});

  EXPECT_THAT(line, HasSubstr("\"customer_id\":\"A\\u000a\\u001f\""));
}

TEST(ReportTest, NeverLongerThanAStationReads) {
  for (size_t size = 800; size < 1024; ++size) {
    const std::string line = ReportOf({{"customer_id", "BGK001"},
                                       {"application", std::string(size, '"')},
                                       {"organization", std::string(size, 'o')}});

    EXPECT_LE(line.size(), identity::kMaxBoardReportBytes);
    EXPECT_TRUE(identity::ParseBoardReport(line).ok()) << line;
    EXPECT_THAT(line, Not(HasSubstr("application")));
  }
}

TEST(ReportTest, FillsTheLineToTheLastByte) {
  size_t longest = 0;
  for (size_t size = 900; size < 1024; ++size) {
    const std::string line =
        ReportOf({{"customer_id", "BGK001"}, {"organization", std::string(size, 'o')}});
    ASSERT_TRUE(identity::ParseBoardReport(line).ok()) << line;
    longest = std::max(longest, line.size());
  }
  EXPECT_EQ(longest, identity::kMaxBoardReportBytes);
}

std::vector<uint8_t> Entry(uint8_t type, uint8_t subtype, uint32_t offset, uint32_t size) {
  std::vector<uint8_t> entry(32, 0);
  entry[0] = 0xAA;
  entry[1] = 0x50;
  entry[2] = type;
  entry[3] = subtype;
  for (int i = 0; i < 4; ++i) {
    entry[4 + i] = static_cast<uint8_t>(offset >> 8 * i);
    entry[8 + i] = static_cast<uint8_t>(size >> 8 * i);
  }
  return entry;
}

struct Found {
  bool found;
  uint32_t offset = 0;
  uint32_t size = 0;
};

Found Find(std::vector<std::vector<uint8_t>> entries, size_t table_size = 0xC00) {
  std::vector<uint8_t> table;
  for (const auto& entry : entries) table.insert(table.end(), entry.begin(), entry.end());
  table.resize(table_size, 0xFF);
  Found found{};
  found.found = find_nvs_partition(table.data(), static_cast<uint32_t>(table.size()), &found.offset,
                                   &found.size) != 0;
  return found;
}

TEST(PartitionTableTest, FindsTheFirstNvsPartition) {
  const Found found = Find(
      {Entry(0, 0, 0x10000, 0x100000), Entry(1, 2, 0x9000, 0x6000), Entry(1, 2, 0x20000, 0x3000)});

  EXPECT_TRUE(found.found);
  EXPECT_EQ(found.offset, 0x9000u);
  EXPECT_EQ(found.size, 0x6000u);
}

TEST(PartitionTableTest, RefusesWhatCannotBeOne) {
  EXPECT_FALSE(Find({}).found);
  EXPECT_FALSE(Find({}, 0).found);
  EXPECT_FALSE(Find({Entry(1, 2, 0x9000, 0x6000)}, 31).found);
  EXPECT_FALSE(Find({Entry(0, 2, 0x9000, 0x6000)}).found);
  EXPECT_FALSE(Find({Entry(1, 2, 0x9001, 0x6000)}).found);
  EXPECT_FALSE(Find({Entry(1, 2, 0x9000, 0x6010)}).found);
  EXPECT_FALSE(Find({Entry(1, 2, 0x9000, 0)}).found);
  EXPECT_FALSE(Find({Entry(1, 2, 0xFFFFF000, 0x2000)}).found);
  EXPECT_FALSE(Find({Entry(1, 2, 0x1000, 0xFFFFF000)}).found);
  // Behind the entries' end there is nothing.
  EXPECT_FALSE(Find({std::vector<uint8_t>(32, 0xFF), Entry(1, 2, 0x9000, 0x6000)}).found);
}

}  // namespace
}  // namespace kiln::hello_c3
