#include "simulator/ota_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/little_endian.h"
#include "simulator/boot.h"
#include "simulator/demo_image.h"
#include "simulator/flash_memory.h"

namespace kiln::simulator {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kUndefined = 0xFFFFFFFF;  // the state of an image nobody has judged
// CRCs as in the OTA data of real boards, for the numbers 1 and 2.
constexpr uint32_t kCrcOf1 = 0x4743989A;
constexpr uint32_t kCrcOf2 = 0x55F63774;
constexpr uint32_t kCrcOf3 = 0xED4A5011;

struct Entry {
  uint32_t sequence;
  uint32_t crc;
  uint32_t state = kUndefined;
};

Bytes OtaData(const std::vector<Entry>& entries) {
  Bytes data(0x2000, 0xFF);
  for (size_t i = 0; i < entries.size(); ++i) {
    base::StoreLe32(&data[i * 0x1000], entries[i].sequence);
    base::StoreLe32(&data[i * 0x1000 + 24], entries[i].state);
    base::StoreLe32(&data[i * 0x1000 + 28], entries[i].crc);
  }
  return data;
}

TEST(OtaSelectionTest, FollowsTheNewestValidEntry) {
  const Entry erased = {kUndefined, kUndefined};
  const struct {
    const char* name;
    std::vector<Entry> entries;
    size_t slots;
    std::optional<size_t> slot;
  } cases[] = {
      {"erased", {}, 2, std::nullopt},
      {"the first update", {{1, kCrcOf1}}, 2, 0},
      {"the second, in the second sector", {{1, kCrcOf1}, {2, kCrcOf2}}, 2, 1},
      {"the third, over the first", {{3, kCrcOf3}, {2, kCrcOf2}}, 2, 0},
      {"three slots", {{3, kCrcOf3}, {2, kCrcOf2}}, 3, 2},
      {"only the second sector", {erased, {2, kCrcOf2}}, 2, 1},
      {"the newest is torn", {{1, kCrcOf1}, {2, kCrcOf1}}, 2, 0},
      {"both are torn", {{1, 0}, {2, 0}}, 2, std::nullopt},
      {"the newest was rolled back", {{1, kCrcOf1}, {2, kCrcOf2, 4}}, 2, 0},
      {"the newest is invalid", {{1, kCrcOf1}, {2, kCrcOf2, 3}}, 2, 0},
      {"the newest is on trial", {{1, kCrcOf1}, {2, kCrcOf2, 1}}, 2, 1},
      {"no slots", {{1, kCrcOf1}}, 0, std::nullopt},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(SelectOtaSlot(OtaData(c.entries), c.slots), c.slot) << c.name;
  }
}

TEST(OtaSelectionTest, AnyInputIsSafe) {
  const Bytes whole = OtaData({{1, kCrcOf1}, {2, kCrcOf2}});
  for (const size_t size : {0, 1, 31, 32, 0xFFF, 0x1000, 0x101F}) {
    const auto slot = SelectOtaSlot(absl::MakeSpan(whole).subspan(0, size), 2);
    EXPECT_EQ(slot.has_value(), size >= 32) << size;
  }
  // The greatest number there is, with its CRC.
  EXPECT_FALSE(SelectOtaSlot(OtaData({{0, 0}}), 2).has_value());
}

// ---- What a board makes of it -------------------------------------------------------------------

constexpr uint32_t kNvsAt = 0x9000;
constexpr uint32_t kFirstAppAt = 0x10000;
constexpr uint32_t kSecondAppAt = 0x100000;
constexpr uint32_t kFactoryAt = 0x200000;
constexpr uint32_t kOtaDataAt = 0x300000;
constexpr uint32_t kAppRoom = 0x80000;

// A board with the demonstration application in several places, and a table that names them.
class OtaBootTest : public ::testing::Test {
 protected:
  OtaBootTest() : flash_(*FindFlashPart("GD25Q32C")) {
    contents_ = MergeDemoImage(MakeDemoImage(esp::Chip::kEsp32C3, 200 * 1024, 1));
    contents_.resize(flash_.size(), 0xFF);
    for (const uint32_t copy : {kSecondAppAt, kFactoryAt}) {
      std::copy_n(contents_.begin() + kFirstAppAt, kAppRoom, contents_.begin() + copy);
    }
    WriteTable(/*factory=*/false);
  }

  void WriteTable(bool factory) {
    Bytes table;
    AddPartition(table, 0x01, 0x02, kNvsAt, 0x6000, "nvs");
    AddPartition(table, 0x01, 0x00, kOtaDataAt, 0x2000, "otadata");
    if (factory) AddPartition(table, 0x00, 0x00, kFactoryAt, kAppRoom, "factory");
    AddPartition(table, 0x00, 0x10, kFirstAppAt, kAppRoom, "ota_0");
    AddPartition(table, 0x00, 0x11, kSecondAppAt, kAppRoom, "ota_1");
    table.resize(0xC00, 0xFF);
    std::copy(table.begin(), table.end(), contents_.begin() + 0x8000);
  }
  void Choose(const std::vector<Entry>& entries) {
    const Bytes data = OtaData(entries);
    std::copy(data.begin(), data.end(), contents_.begin() + kOtaDataAt);
  }
  void Spoil(uint32_t application) { contents_[application] = 0; }
  // Where the application that runs was loaded from; empty when none runs.
  std::string Boot() {
    flash_.Load(contents_);
    const BootResult result = BootFromFlash(esp::Chip::kEsp32C3, {0x7C, 0xDF, 0xA1, 0, 0, 1},
                                            flash_, Faults(), ResetCause::kPowerOn);
    text_.clear();
    for (const BootLine& line : result.lines) text_ += line.text;
    constexpr char kSays[] = "Loaded app from partition at offset ";
    const size_t at = text_.find(kSays);
    EXPECT_EQ(at != std::string::npos, result.started) << text_;
    if (at == std::string::npos) return "";
    const size_t begin = at + sizeof(kSays) - 1;
    return text_.substr(begin, text_.find('\r', begin) - begin);
  }

  FlashMemory flash_;
  Bytes contents_;
  std::string text_;

 private:
  static void AddPartition(Bytes& table, uint8_t type, uint8_t subtype, uint32_t offset,
                           uint32_t size, const std::string& label) {
    table.insert(table.end(), {0xAA, 0x50, type, subtype});
    base::AppendLe(table, offset);
    base::AppendLe(table, size);
    Bytes name(label.begin(), label.end());
    name.resize(16, 0);
    table.insert(table.end(), name.begin(), name.end());
    base::AppendLe(table, uint32_t{0});
  }
};

TEST_F(OtaBootTest, StartsTheSlotThatTheOtaDataChooses) {
  EXPECT_EQ(Boot(), "0x10000") << "nothing chosen: the first slot";
  Choose({{1, kCrcOf1}, {2, kCrcOf2}});
  EXPECT_EQ(Boot(), "0x100000");
  Choose({{3, kCrcOf3}, {2, kCrcOf2}});
  EXPECT_EQ(Boot(), "0x10000");
}

TEST_F(OtaBootTest, TheFactoryApplicationRunsUntilASlotIsChosen) {
  WriteTable(/*factory=*/true);
  EXPECT_EQ(Boot(), "0x200000");
  Choose({{1, kCrcOf1}});
  EXPECT_EQ(Boot(), "0x10000");
  Choose({{1, kCrcOf2}});
  EXPECT_EQ(Boot(), "0x200000") << "a torn choice is none";
}

TEST_F(OtaBootTest, ASpoiledChoiceFallsBackToWhatIsWhole) {
  WriteTable(/*factory=*/true);
  Choose({{1, kCrcOf1}, {2, kCrcOf2}});
  Spoil(kSecondAppAt);
  EXPECT_EQ(Boot(), "0x10000");
  EXPECT_THAT(text_, HasSubstr("image at 0x100000 has invalid magic byte"));
  Spoil(kFirstAppAt);
  EXPECT_EQ(Boot(), "0x200000");
  Spoil(kFactoryAt);
  EXPECT_EQ(Boot(), "");
  EXPECT_THAT(text_, HasSubstr("No bootable app partitions in the partition table"));
}

TEST_F(OtaBootTest, ASpoiledFactoryApplicationFallsForwardToTheSlots) {
  WriteTable(/*factory=*/true);
  Spoil(kFactoryAt);
  EXPECT_EQ(Boot(), "0x10000");
  Spoil(kFirstAppAt);
  EXPECT_EQ(Boot(), "0x100000");
}

}  // namespace
}  // namespace kiln::simulator
