#include "daemon/identity/nvs_partition.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::identity {
namespace {

using base::AsBytes;
using ::testing::HasSubstr;

// 32 bytes of an image that are not all 0xff.
struct Line {
  size_t offset;
  absl::string_view hex;
};

std::vector<uint8_t> ImageOf(size_t size, const std::vector<Line>& lines) {
  std::vector<uint8_t> image(size, 0xff);
  for (const Line& line : lines) {
    const std::string bytes = absl::HexStringToBytes(line.hex);
    std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<ptrdiff_t>(line.offset));
  }
  return image;
}

std::string FirstDifference(const std::vector<uint8_t>& got, const std::vector<uint8_t>& want) {
  if (got.size() != want.size()) return absl::StrCat(got.size(), " bytes, not ", want.size());
  for (size_t at = 0; at < got.size(); at += 32) {
    const auto line = [at](const std::vector<uint8_t>& image) {
      return base::HexOf(absl::MakeConstSpan(image).subspan(at, 32));
    };
    if (line(got) != line(want)) {
      return absl::StrCat("at ", absl::Hex(at), ": ", line(got), ", not ", line(want));
    }
  }
  return "";
}

NvsPartition Partition(uint32_t size) {
  auto partition = NvsPartition::Create(size);
  EXPECT_TRUE(partition.ok()) << partition.status();
  return *std::move(partition);
}

// The expected images below were made by the official generator, esp-idf-nvs-partition-gen 0.3.0.

TEST(NvsPartitionTest, WritesEveryTypeLikeTheOfficialGenerator) {
  NvsPartition partition = Partition(0x3000);
  ASSERT_TRUE(partition.PutInteger<uint8_t>("n", "u8", 255).ok());
  ASSERT_TRUE(partition.PutInteger<int8_t>("n", "i8", -128).ok());
  ASSERT_TRUE(partition.PutInteger<uint16_t>("n", "u16", 65535).ok());
  ASSERT_TRUE(partition.PutInteger<int16_t>("n", "i16", -32768).ok());
  ASSERT_TRUE(partition.PutInteger("n", "u32", std::numeric_limits<uint32_t>::max()).ok());
  ASSERT_TRUE(partition.PutInteger("n", "i32", std::numeric_limits<int32_t>::min()).ok());
  ASSERT_TRUE(partition.PutInteger("n", "u64", std::numeric_limits<uint64_t>::max()).ok());
  ASSERT_TRUE(partition.PutInteger("n", "i64", std::numeric_limits<int64_t>::min()).ok());
  ASSERT_TRUE(partition.PutString("n", "text", "hi").ok());
  ASSERT_TRUE(partition.PutString("n", "empty", "").ok());
  ASSERT_TRUE(partition.PutBlob("n", "blob", {0, 1, 2, 3}).ok());
  ASSERT_TRUE(partition.PutBlob("n", "none", {}).ok());

  const auto image = partition.Image();
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(
      FirstDifference(
          *image,
          ImageOf(0x3000,
                  {
                      {0x0000, "feffffff00000000feffffffffffffffffffffffffffffffffffffff842dbab9"},
                      {0x0020, "aaaaaaaafaffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
                      {0x0040, "000101ffe282b67e6e00000000000000000000000000000001ffffffffffffff"},
                      {0x0060, "010101ffde5ab46375380000000000000000000000000000ffffffffffffffff"},
                      {0x0080, "011101ff6bafd08c6938000000000000000000000000000080ffffffffffffff"},
                      {0x00a0, "010201ffed5c731875313600000000000000000000000000ffffffffffffffff"},
                      {0x00c0, "011201ff408c0cbe693136000000000000000000000000000080ffffffffffff"},
                      {0x00e0, "010401ffc3411d1575333200000000000000000000000000ffffffffffffffff"},
                      {0x0100, "011401ff4ea732a46933320000000000000000000000000000000080ffffffff"},
                      {0x0120, "010801ffcbed005f75363400000000000000000000000000ffffffffffffffff"},
                      {0x0140, "011801ff1718ca6c693634000000000000000000000000000000000000000080"},
                      {0x0160, "012102ffa8a700f6746578740000000000000000000000000300ffff89b5040d"},
                      {0x0180, "686900ffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
                      {0x01a0, "012102ff35354d53656d70747900000000000000000000000100ffffffffffff"},
                      {0x01c0, "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
                      {0x01e0, "01420200e1b9a853626c6f620000000000000000000000000400fffff0a60255"},
                      {0x0200, "00010203ffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
                      {0x0220, "014801ffa0f19ef8626c6f62000000000000000000000000040000000100ffff"},
                      {0x0240, "01420100c8f38b3a6e6f6e650000000000000000000000000000ffffffffffff"},
                      {0x0260, "014801ff1e86f5cf6e6f6e65000000000000000000000000000000000100ffff"},
                  })),
      "");
}

TEST(NvsPartitionTest, AnEmptyPartitionHasOneActivePage) {
  EXPECT_EQ(
      FirstDifference(*Partition(0x3000).Image(),
                      ImageOf(0x3000, {{0,
                                        "feffffff00000000feffffffffffffffffffffffffffffffffffffff"
                                        "842dbab9"}})),
      "");
}

TEST(NvsPartitionTest, TurnsPagesLikeTheOfficialGenerator) {
  NvsPartition blob = Partition(0x6000);
  ASSERT_TRUE(blob.PutString("n", "s", std::string(3000, 'x')).ok());
  std::vector<uint8_t> bytes(9000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i % 251);
  ASSERT_TRUE(blob.PutBlob("n", "b", bytes).ok());
  ASSERT_TRUE(blob.PutInteger<uint8_t>("n", "last", 7).ok());
  EXPECT_EQ(base::HexOf(base::Sha256(*blob.Image())),
            "ca5c9274fcd4b9f0e4f20026472ef4c8c4ffce25f55d4526f03ec393e1502833");

  NvsPartition strings = Partition(0x6000);
  ASSERT_TRUE(strings.PutString("a", "k", std::string(3967, 'y')).ok());
  ASSERT_TRUE(strings.PutString("b", "k", std::string(3967, 'z')).ok());
  EXPECT_EQ(base::HexOf(base::Sha256(*strings.Image())),
            "e0e1a588aed09699e909297899061ec0a7a362780d04f107ed11fcdab67e02e3");
}

TEST(NvsPartitionTest, KeepsTheLastPageFree) {
  NvsPartition partition = Partition(0x3000);
  // Two pages of 126 entries; one goes to the namespace.
  for (uint32_t i = 0; i < 2 * 126 - 1; ++i) {
    ASSERT_TRUE(partition.PutInteger("n", absl::StrCat("k", i), i).ok()) << i;
  }
  const auto image = partition.Image();
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(base::LoadLe32(image->data()), 0xfffffffcu) << "page 0 is full";
  EXPECT_EQ(base::LoadLe32(image->data() + 0x1000), 0xfffffffeu) << "page 1 is active";
  EXPECT_EQ(std::vector<uint8_t>(image->begin() + 0x2000, image->end()),
            std::vector<uint8_t>(0x1000, 0xff));

  EXPECT_EQ(partition.PutInteger("n", "more", uint32_t{1}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(partition.PutInteger("n", "again", uint32_t{1}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(partition.Image().status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(NvsPartitionTest, RefusesSizesThatNvsCannotUse) {
  for (const uint32_t size : {0u, 1u, 4096u, 8192u, 0x3001u, 0x3800u, 0x1001000u, 0xfffff000u}) {
    EXPECT_EQ(NvsPartition::Create(size).status().code(), absl::StatusCode::kInvalidArgument)
        << size;
  }
  EXPECT_TRUE(NvsPartition::Create(NvsPartition::kMaxBytes).ok());
}

TEST(NvsPartitionTest, RefusesNamesAndValuesThatNvsCannotHold) {
  NvsPartition partition = Partition(0x6000);
  const auto put = [&partition](const std::string& name_space, const std::string& key,
                                absl::string_view value) {
    return partition.PutString(name_space, key, value);
  };
  EXPECT_EQ(put("", "k", "v").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(put("n", "", "v").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(put(std::string(16, 'n'), "k", "v").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(put("n", std::string(16, 'k'), "v").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(put("n", "ก", "v").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(put("n", std::string("a\0b", 3), "v").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(put("n", "k", absl::string_view("a\0b", 3)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(put("n", "k", std::string(3968, 'x')).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(partition.PutBlob("n", "k", std::vector<uint8_t>(508'001)).code(),
            absl::StatusCode::kInvalidArgument);
  // A refusal does no harm.
  EXPECT_TRUE(put("n", "k", std::string(3967, 'x')).ok());
  EXPECT_THAT(std::string(put("n", "k", "again").message()), HasSubstr("\"k\" is twice"));
  EXPECT_TRUE(put("m", "k", "another namespace").ok());
  EXPECT_TRUE(partition.Image().ok());
}

TEST(NvsPartitionTest, HoldsNoMoreNamespacesThanNumbersFor) {
  NvsPartition partition = Partition(0x10000);
  for (int i = 0; i < NvsPartition::kMaxNamespaces; ++i) {
    ASSERT_TRUE(partition.PutInteger<uint8_t>(absl::StrCat("n", i), "k", 1).ok()) << i;
  }
  EXPECT_EQ(partition.PutInteger<uint8_t>("more", "k", 1).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kiln::identity
