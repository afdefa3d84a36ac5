#include "firmware/hello-c3/nvs.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/identity/nvs_partition.h"
#include "firmware/hello-c3/testing/memory_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::hello_c3 {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kEntries = 64;  // where they begin on a page

// 32 bytes of an image that are not all 0xff.
struct Line {
  size_t offset;
  absl::string_view hex;
};

// Made by the official generator, esp-idf-nvs-partition-gen 0.3.0.
constexpr Line kOfficial[] = {
    {0, "feffffff00000000feffffffffffffffffffffffffffffffffffffff842dbab9"},
    {32, "aaaaaaeaffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
    {64, "000101ff5da5a51d6b696c6e00000000000000000000000001ffffffffffffff"},
    {96, "012103ff12daf08b6f7267616e697a6174696f6e000000003100ffff6f78ecf2"},
    {128, "e0b982e0b8a3e0b887e0b89ee0b8a2e0b8b2e0b89ae0b8b2e0b8a5e0b881e0b8"},
    {160, "a3e0b8b8e0b887e0b980e0b897e0b89e00ffffffffffffffffffffffffffffff"},
    {192, "012102ffd233d43d637573746f6d65725f696400000000000700ffffa0d20803"},
    {224, "42474b30303100ffffffffffffffffffffffffffffffffffffffffffffffffff"},
    {256, "012102ff8f8a2bdc6170706c69636174696f6e00000000001300ffff4b08819a"},
    {288, "534d435f436162696e65745f576172645f4100ffffffffffffffffffffffffff"},
    {320, "012102ffa2c9536a737369640000000000000000000000001600ffff8b9c3f39"},
    {352, "534d435f45535033325f42474b3030315f4245303100ffffffffffffffffffff"},
    {384, "012102ffc874e94170617373776f726400000000000000000f00ffffbb253996"},
    {416, "68374b70326d517839527456777a00ffffffffffffffffffffffffffffffffff"},
    {448, "012103ff7243de046465706c6f796d656e740000000000002500ffff94e5b69e"},
    {480, "30643963366135322d366630652d346135332d396636322d3761386632663066"},
    {512, "3561313100ffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
};

std::vector<uint8_t> OfficialImage() {
  std::vector<uint8_t> image(3 * kPage, 0xff);
  for (const Line& line : kOfficial) {
    const std::string bytes = absl::HexStringToBytes(line.hex);
    std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<ptrdiff_t>(line.offset));
  }
  return image;
}

// The writer whose bytes tests/nvs holds against the official generator's.
class Writer {
 public:
  explicit Writer(uint32_t size = 0x6000) : partition_(*identity::NvsPartition::Create(size)) {}
  Writer& String(const std::string& name_space, const std::string& key, absl::string_view text) {
    EXPECT_TRUE(partition_.PutString(name_space, key, text).ok());
    return *this;
  }
  Writer& Numbers(const std::string& name_space, int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(partition_.PutInteger(name_space, absl::StrCat("n", i), i).ok());
    }
    return *this;
  }
  std::vector<uint8_t> Image() const { return *partition_.Image(); }

 private:
  identity::NvsPartition partition_;
};

struct Answer {
  nvs_result result;
  std::string text;
};

Answer Read(const std::vector<uint8_t>& image, const std::string& key, size_t room = 1100,
            const std::string& name_space = "kiln") {
  MemorySource source(image);
  // Filled, so that a missing NUL shows.
  std::string out(room, '#');
  const nvs_result result = nvs_read_string(source.get(), name_space.c_str(), key.c_str(),
                                            out.data(), static_cast<uint32_t>(room));
  return {result, std::string(out.c_str())};
}

std::string TextOf(const std::vector<uint8_t>& image, const std::string& key) {
  const Answer answer = Read(image, key);
  return answer.result == NVS_OK ? answer.text : absl::StrCat("result ", answer.result);
}

TEST(NvsTest, ReadsAnImageOfTheOfficialGenerator) {
  const std::vector<uint8_t> image = OfficialImage();

  EXPECT_EQ(TextOf(image, "organization"), "โรงพยาบาลกรุงเทพ");
  EXPECT_EQ(TextOf(image, "customer_id"), "BGK001");
  EXPECT_EQ(TextOf(image, "application"), "SMC_Cabinet_Ward_A");
  EXPECT_EQ(TextOf(image, "ssid"), "SMC_ESP32_BGK001_BE01");
  EXPECT_EQ(TextOf(image, "password"), "h7Kp2mQx9RtVwz");
  EXPECT_EQ(TextOf(image, "deployment"), "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11");
}

TEST(NvsTest, AMissingKeyOrNamespaceIsNotFound) {
  const std::vector<uint8_t> image = OfficialImage();

  EXPECT_EQ(Read(image, "serial").result, NVS_NOT_FOUND);
  EXPECT_EQ(Read(image, "customer_i").result, NVS_NOT_FOUND);
  EXPECT_EQ(Read(image, "customer_id2").result, NVS_NOT_FOUND);
  EXPECT_EQ(Read(image, "customer_id", 100, "wifi").result, NVS_NOT_FOUND);
  EXPECT_EQ(Read(image, "kiln").result, NVS_NOT_FOUND) << "a namespace is not a value";
  EXPECT_EQ(Read(image, "").result, NVS_NOT_FOUND);
}

TEST(NvsTest, AKeyOfAnotherNamespaceIsAnotherKey) {
  const auto image =
      Writer().String("wifi", "ssid", "theirs").String("kiln", "ssid", "ours").Image();

  EXPECT_EQ(Read(image, "ssid").text, "ours");
  EXPECT_EQ(Read(image, "ssid", 100, "wifi").text, "theirs");
}

TEST(NvsTest, ANumberIsNotAString) {
  const auto image = Writer().Numbers("kiln", 3).Image();

  EXPECT_EQ(Read(image, "n1").result, NVS_NOT_FOUND);
}

TEST(NvsTest, FindsWhatStandsOnAnyPage) {
  for (const int before : {0, 100, 124, 125, 126, 200, 251, 300}) {
    const auto image =
        Writer().Numbers("other", before).String("kiln", "customer_id", "BGK001").Image();

    EXPECT_EQ(TextOf(image, "customer_id"), "BGK001") << before << " entries before";
  }
}

TEST(NvsTest, ReadsTextsOfEveryLength) {
  for (const size_t size : {0u, 1u, 30u, 31u, 32u, 33u, 63u, 64u, 65u, 1023u}) {
    const std::string text(size, 'x');
    EXPECT_EQ(TextOf(Writer().String("kiln", "k", text).Image(), "k"), text) << size;
  }
}

TEST(NvsTest, ATextThatDoesNotFitIsRefusedWhole) {
  const std::vector<uint8_t> image = OfficialImage();

  EXPECT_EQ(Read(image, "customer_id", 7).text, "BGK001");
  const Answer answer = Read(image, "customer_id", 6);
  EXPECT_EQ(answer.result, NVS_TOO_LONG);
  EXPECT_EQ(answer.text, "");
}

TEST(NvsTest, OfTwoValuesTheNewerPageCounts) {
  // As after power was lost between writing the new value and erasing the old one.
  const auto older = Writer(0x3000).String("kiln", "k", "old").Image();
  const auto newer =
      Writer(0x3000).Numbers("kiln", 125).String("kiln", "k", "new").Image();  // on its page 1
  std::vector<uint8_t> image = newer;
  std::copy(older.begin(), older.begin() + kPage, image.begin() + 2 * kPage);
  EXPECT_EQ(TextOf(image, "k"), "new");

  // Whatever their order in flash.
  std::swap_ranges(image.begin(), image.begin() + kPage, image.begin() + 2 * kPage);
  EXPECT_EQ(TextOf(image, "k"), "new");
}

TEST(NvsTest, AnErasedEntryIsNotThere) {
  std::vector<uint8_t> image = OfficialImage();
  // The customer id: entry 4, bits 0 and 1 of the bitmap's second byte.
  image[33] &= static_cast<uint8_t>(~3);

  EXPECT_EQ(Read(image, "customer_id").result, NVS_NOT_FOUND);
  EXPECT_EQ(TextOf(image, "ssid"), "SMC_ESP32_BGK001_BE01");
}

TEST(NvsTest, APageOfUnknownStateOrVersionHasNoValues) {
  for (const auto& [at, value] : std::vector<std::pair<size_t, uint8_t>>{
           {0, 0xff}, {0, 0x00}, {4, 0x01}, {8, 0xff}, {28, 0x00}}) {
    std::vector<uint8_t> image = OfficialImage();
    image[at] = value;

    EXPECT_EQ(Read(image, "customer_id").result, NVS_NOT_FOUND) << "byte " << at;
  }
}

TEST(NvsTest, AFlippedBitNeverGivesAWrongValue) {
  const std::vector<uint8_t> good = OfficialImage();
  const std::string wanted = "BGK001";

  int lost = 0;
  for (size_t at = 0; at < 544; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<uint8_t> image = good;
      image[at] ^= static_cast<uint8_t>(1 << bit);
      const Answer answer = Read(image, "customer_id");
      if (answer.result != NVS_OK) {
        ++lost;
        EXPECT_EQ(answer.text, "");
      } else {
        EXPECT_EQ(answer.text, wanted) << "bit " << bit << " of byte " << at;
      }
    }
  }
  // The header, the namespace, the entry and its data are all guarded.
  EXPECT_GT(lost, (28 + 2 * 30 + 7) * 8);
}

TEST(NvsTest, AValueThatClaimsToLeaveItsPageIsPassedOver) {
  std::vector<uint8_t> image = OfficialImage();
  // The last entry of the page, copied whole with its checksum: its text would begin on the next.
  std::copy_n(image.begin() + 192, 32, image.begin() + kEntries + 125 * 32);
  image[33] &= static_cast<uint8_t>(~3);
  image[32 + 31] = 0xfb;  // entry 125 is written

  EXPECT_EQ(Read(image, "customer_id").result, NVS_NOT_FOUND);
}

TEST(NvsTest, ReadsNothingBehindThePartition) {
  std::vector<uint8_t> image = OfficialImage();
  for (const size_t size : {0u, 1u, 4095u, 4096u, 5000u}) {
    image.resize(size);
    // The source fails the test when it is asked for more.
    EXPECT_EQ(Read(image, "customer_id").result, size < 4096 ? NVS_NOT_FOUND : NVS_OK) << size;
    image = OfficialImage();
  }
}

TEST(NvsTest, AFlashThatCannotBeReadIsSaid) {
  const std::vector<uint8_t> image = OfficialImage();
  for (int reads = 0; reads < 12; ++reads) {
    MemorySource source(image);
    source.FailAfter(reads);
    char out[64];
    const nvs_result result =
        nvs_read_string(source.get(), "kiln", "organization", out, sizeof out);
    if (result == NVS_OK) {
      EXPECT_GT(reads, 6);
      break;
    }
    EXPECT_EQ(result, NVS_READ_FAILED) << reads;
    EXPECT_EQ(std::string(out), "");
  }
}

}  // namespace
}  // namespace kiln::hello_c3
