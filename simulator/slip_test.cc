#include "simulator/slip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace kiln::simulator {
namespace {

using ::testing::ElementsAre;
using Bytes = std::vector<uint8_t>;

std::vector<Bytes> Decode(const Bytes& stream, size_t limit = 100) {
  SlipDecoder decoder(limit);
  std::vector<Bytes> frames;
  for (const uint8_t byte : stream) {
    if (std::optional<Bytes> frame = decoder.Add(byte); frame.has_value()) frames.push_back(*frame);
  }
  return frames;
}

TEST(SlipTest, EscapesDelimiterAndEscape) {
  EXPECT_EQ(SlipEncode({0x01, 0xC0, 0xDB, 0x02}),
            (Bytes{0xC0, 0x01, 0xDB, 0xDC, 0xDB, 0xDD, 0x02, 0xC0}));
}

TEST(SlipTest, FindsFrames) {
  EXPECT_THAT(Decode({0xC0, 1, 2, 0xC0, 0xC0, 3, 0xDB, 0xDC, 0xDB, 0xDD, 0xC0}),
              ElementsAre(Bytes{1, 2}, Bytes{3, 0xC0, 0xDB}));
}

TEST(SlipTest, DropsWhatIsNoFrame) {
  EXPECT_THAT(Decode({9, 9, 0xC0, 0xC0, 0xC0, 1, 0xC0}), ElementsAre(Bytes{1}));
  // A wrong escape spoils its frame only.
  EXPECT_THAT(Decode({0xC0, 1, 0xDB, 0x00, 2, 0xC0, 3, 0xC0}), ElementsAre(Bytes{3}));
  // So does excess length.
  EXPECT_THAT(Decode({0xC0, 1, 2, 3, 4, 0xC0, 5, 0xC0}, 3), ElementsAre(Bytes{5}));
}

}  // namespace
}  // namespace kiln::simulator
