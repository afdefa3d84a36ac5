#include "daemon/esp/image/image_header.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/testing/image_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using testing::BuildTestImage;
using ::testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

TEST(ImageHeaderTest, ReadsTheFactsOfAnImageForEveryChip) {
  for (const Chip chip : AllChips()) {
    const Bytes image = BuildTestImage({.chip = chip, .payload_bytes = 5000, .segments = 3});
    const auto facts = ParseImage(image);
    ASSERT_TRUE(facts.ok()) << TraitsOf(chip).name << ": " << facts.status();
    EXPECT_EQ(facts->header.chip, chip);
    EXPECT_EQ(facts->header.flash_size_bytes, 4u << 20);
    EXPECT_EQ(facts->header.entry_address, 0x40080000u);
    EXPECT_EQ(facts->header.spi_mode, 2);
    EXPECT_EQ(facts->header.max_revision, 65535);
    EXPECT_EQ(facts->segments.size(), 3u);
    EXPECT_EQ(facts->segments[0].file_offset, 32u);
    EXPECT_EQ(facts->total_bytes, image.size());
    EXPECT_FALSE(facts->app.has_value());
  }
}

TEST(ImageHeaderTest, ReadsTheApplicationsDescription) {
  const Bytes image =
      BuildTestImage({.app_description = true, .project_name = "shop\x01\xff", .version = "v2-\n"});
  const auto facts = ParseImage(image);
  ASSERT_TRUE(facts.ok()) << facts.status();
  ASSERT_TRUE(facts->app.has_value());
  EXPECT_EQ(facts->app->project_name, "shop??");
  EXPECT_EQ(facts->app->version, "v2-?");
  EXPECT_EQ(facts->app->date, "Nov 21 2026");
  EXPECT_EQ(facts->app->time, "12:34:56");
  EXPECT_EQ(facts->app->idf_version, "v5.3.1");
}

TEST(ImageHeaderTest, BoundsTextsWithoutATerminator) {
  Bytes image = BuildTestImage({.append_hash = false, .app_description = true});
  // 32 bytes without a NUL; 24 header + 8 segment header + 16. The number of equal bytes is even
  // and replaces others, so the checksum has to be made anew.
  uint8_t checksum = 0;
  for (size_t i = 0; i < 32; ++i) {
    checksum ^= image[48 + i] ^ 'x';
    image[48 + i] = 'x';
  }
  image.back() ^= checksum;
  const auto facts = ParseImage(image);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->app->version, std::string(32, 'x'));
}

TEST(ImageHeaderTest, IgnoresWhatFollowsTheImage) {
  Bytes image = BuildTestImage({});
  const size_t length = image.size();
  image.insert(image.end(), 100, 0xAB);
  const auto facts = ParseImage(image);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->total_bytes, length);
}

TEST(ImageHeaderTest, RefusesEveryTruncation) {
  for (const bool hash : {true, false}) {
    const Bytes image =
        BuildTestImage({.payload_bytes = 300, .append_hash = hash, .app_description = true});
    for (size_t length = 0; length < image.size(); ++length) {
      const auto facts = ParseImage(absl::MakeConstSpan(image).first(length));
      EXPECT_TRUE(absl::IsInvalidArgument(facts.status()))
          << "accepted " << length << " bytes of " << image.size();
      EXPECT_THAT(std::string(facts.status().message()), HasSubstr("at 0x"));
    }
  }
}

TEST(ImageHeaderTest, RefusesEveryFlippedByteOfAnImageWithHash) {
  const Bytes image = BuildTestImage({.payload_bytes = 64});
  for (size_t i = 0; i < image.size(); ++i) {
    Bytes flipped = image;
    flipped[i] ^= 0x10;
    EXPECT_FALSE(ParseImage(flipped).ok()) << "a flipped bit at " << i << " went unseen";
  }
}

struct Corruption {
  std::string name;
  std::function<void(Bytes&)> apply;
  std::string message;
};

class ImageCorruptionTest : public ::testing::TestWithParam<Corruption> {};

TEST_P(ImageCorruptionTest, NamesTheOffset) {
  Bytes image = BuildTestImage({.payload_bytes = 256});
  GetParam().apply(image);
  const auto facts = ParseImage(image);
  ASSERT_TRUE(absl::IsInvalidArgument(facts.status())) << facts.status();
  EXPECT_THAT(std::string(facts.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, ImageCorruptionTest,
    ::testing::ValuesIn(std::vector<Corruption>{
        {"Magic", [](Bytes& image) { image[0] = 0xEA; }, "at 0x0: no image starts here"},
        {"NoSegments", [](Bytes& image) { image[1] = 0; }, "at 0x1: 0 segments"},
        {"TooManySegments", [](Bytes& image) { image[1] = 17; }, "at 0x1: 17 segments"},
        {"FlashMode", [](Bytes& image) { image[2] = 6; }, "at 0x2: unknown flash mode 6"},
        {"FlashSize", [](Bytes& image) { image[3] = 0x80; }, "at 0x3: unknown flash size code 8"},
        {"Chip", [](Bytes& image) { base::StoreLe16(&image[12], 0xFFFF); },
         "at 0xc: unknown chip id 65535"},
        {"HashFlag", [](Bytes& image) { image[23] = 2; }, "at 0x17: the hash flag is 2"},
        {"OddSegment", [](Bytes& image) { base::StoreLe32(&image[28], 6); },
         "at 0x1c: segment 0 has 6 bytes, not a multiple of 4"},
        {"LongSegment", [](Bytes& image) { base::StoreLe32(&image[28], 0xFFFFFFFC); },
         "at 0x1c: segment 0 has 4294967292 bytes, only"},
        {"Payload", [](Bytes& image) { image[40] ^= 1; }, "the checksum is 0x"},
        {"Hash", [](Bytes& image) { image.back() ^= 1; }, "the SHA-256 does not match"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace kiln::esp
