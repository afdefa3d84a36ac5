#include "simulator/nvs_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/little_endian.h"

namespace kiln::simulator {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Bytes = std::vector<uint8_t>;

uint32_t Crc(const uint8_t* data, size_t size) {
  return static_cast<uint32_t>(crc32(0xFFFFFFFF, data, static_cast<uInt>(size)));
}

// One page built by hand, entry for entry.
class Page {
 public:
  explicit Page(uint32_t sequence = 0, uint32_t state = 0xFFFFFFFE) : bytes_(4096, 0xFF) {
    base::StoreLe32(&bytes_[0], state);
    base::StoreLe32(&bytes_[4], sequence);
    bytes_[8] = 0xFE;
    base::StoreLe32(&bytes_[28], Crc(&bytes_[4], 24));
  }

  Page& Entry(uint8_t name_space, uint8_t type, absl::string_view key, const Bytes& data,
              uint8_t span = 1, uint8_t chunk = 0xFF) {
    uint8_t* entry = &bytes_[64 + next_ * 32];
    entry[0] = name_space;
    entry[1] = type;
    entry[2] = span;
    entry[3] = chunk;
    std::fill(entry + 8, entry + 24, uint8_t{0});
    std::copy(key.begin(), key.end(), entry + 8);
    std::copy(data.begin(), data.end(), entry + 24);
    Bytes covered(entry, entry + 4);
    covered.insert(covered.end(), entry + 8, entry + 32);
    base::StoreLe32(entry + 4, Crc(covered.data(), covered.size()));
    Mark(span);
    return *this;
  }
  Page& Variable(uint8_t name_space, uint8_t type, absl::string_view key, const Bytes& value,
                 uint8_t chunk = 0xFF) {
    const size_t at = 64 + (next_ + 1) * 32;
    Bytes data;
    base::AppendLe(data, static_cast<uint16_t>(value.size()));
    base::AppendLe(data, uint16_t{0xFFFF});
    base::AppendLe(data, Crc(value.data(), value.size()));
    std::copy(value.begin(), value.end(), bytes_.begin() + at);
    return Entry(name_space, type, key, data, static_cast<uint8_t>(1 + (value.size() + 31) / 32),
                 chunk);
  }
  Page& String(uint8_t name_space, absl::string_view key, absl::string_view text) {
    Bytes value(text.begin(), text.end());
    value.push_back(0);
    return Variable(name_space, 0x21, key, value);
  }
  Bytes& bytes() { return bytes_; }

 private:
  void Mark(size_t span) {
    for (size_t i = 0; i < span; ++i, ++next_) {
      bytes_[32 + next_ / 4] &= static_cast<uint8_t>(~(1 << (2 * (next_ % 4))));
    }
  }
  Bytes bytes_;
  size_t next_ = 0;
};

Bytes Partition(std::vector<Page> pages) {
  Bytes partition;
  for (Page& page : pages) {
    partition.insert(partition.end(), page.bytes().begin(), page.bytes().end());
  }
  partition.resize(partition.size() + 4096, 0xFF);
  return partition;
}

TEST(NvsReaderTest, ReadsStringsAndNumbersOfTheirNamespaces) {
  const NvsContents nvs =
      ReadNvs(Partition({Page()
                             .Entry(0, 0x01, "kiln", {1})
                             .String(1, "customer_id", "BGK001")
                             .Entry(1, 0x02, "u16", {0x34, 0x12})
                             .Entry(0, 0x01, "other", {2})
                             .Entry(2, 0x14, "i32", {0xFE, 0xFF, 0xFF, 0xFF})}));
  EXPECT_THAT(nvs.complaints, IsEmpty());
  EXPECT_EQ(nvs.StringAt("kiln", "customer_id"), "BGK001");
  EXPECT_EQ(nvs.StringAt("kiln", "missing"), "");
  EXPECT_EQ(std::get<uint64_t>(nvs.namespaces.at("kiln").at("u16")), 0x1234u);
  EXPECT_EQ(std::get<int64_t>(nvs.namespaces.at("other").at("i32")), -2);
}

TEST(NvsReaderTest, JoinsBlobChunksOverPages) {
  const Bytes first(100, 1);
  const Bytes second(50, 2);
  const NvsContents nvs = ReadNvs(Partition(
      {Page(0, 0xFFFFFFFC).Entry(0, 0x01, "kiln", {1}).Variable(1, 0x42, "blob", first, 0),
       Page(1).Variable(1, 0x42, "blob", second, 1).Entry(1, 0x48, "blob", {150, 0, 0, 0, 2, 0})}));
  EXPECT_THAT(nvs.complaints, IsEmpty());
  Bytes expected = first;
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(std::get<Bytes>(nvs.namespaces.at("kiln").at("blob")), expected);
}

TEST(NvsReaderTest, TheNewerPageWins) {
  const NvsContents nvs =
      ReadNvs(Partition({Page(7).Entry(0, 0x01, "kiln", {1}).String(1, "key", "new"),
                         Page(3).Entry(0, 0x01, "kiln", {1}).String(1, "key", "old")}));
  EXPECT_EQ(nvs.StringAt("kiln", "key"), "new");
}

TEST(NvsReaderTest, LeavesOutAndNamesWhatIsDamaged) {
  struct Case {
    const char* name;
    size_t at;
    const char* says;
  };
  for (const Case& c :
       {Case{"state", 0, "unknown state"}, Case{"header", 5, "wrong header CRC"},
        Case{"entry", 64 + 32 + 8, "wrong CRC"}, Case{"value", 64 + 64 + 1, "value of key"}}) {
    Page page = Page().Entry(0, 0x01, "kiln", {1}).String(1, "key", "value");
    page.bytes()[c.at] ^= 0x40;
    const NvsContents nvs = ReadNvs(page.bytes());
    EXPECT_THAT(nvs.complaints, Contains(HasSubstr(c.says))) << c.name;
    EXPECT_EQ(nvs.StringAt("kiln", "key"), "") << c.name;
  }
}

TEST(NvsReaderTest, ErasedFlashHoldsNothing) {
  const NvsContents nvs = ReadNvs(Bytes(0x6000, 0xFF));
  EXPECT_TRUE(nvs.namespaces.empty());
  EXPECT_THAT(nvs.complaints, IsEmpty());
}

TEST(NvsReaderTest, AnyBytesAreSafe) {
  uint32_t state = 1;
  for (int round = 0; round < 300; ++round) {
    Page page = Page().Entry(0, 0x01, "kiln", {1}).String(1, "key", "value");
    for (int i = 0; i < 40; ++i) {
      state = state * 1664525 + 1013904223;
      page.bytes()[32 + (state >> 8) % 512] = static_cast<uint8_t>(state >> 24);
    }
    ReadNvs(page.bytes());
  }
}

}  // namespace
}  // namespace kiln::simulator
