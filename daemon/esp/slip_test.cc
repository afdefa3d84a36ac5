#include "daemon/esp/slip.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Encode(const Bytes& payload) {
  SlipEncoder encoder;
  encoder.Begin();
  encoder.Append(payload);
  encoder.End();
  return Bytes(encoder.frame().begin(), encoder.frame().end());
}

std::vector<Bytes> DecodeAll(SlipDecoder& decoder, const Bytes& stream) {
  std::vector<Bytes> frames;
  absl::Span<const uint8_t> input = stream;
  while (auto frame = decoder.Next(input)) frames.emplace_back(frame->begin(), frame->end());
  return frames;
}

TEST(SlipEncoderTest, EscapesDelimiterAndEscape) {
  EXPECT_EQ(Encode({0x01, 0xC0, 0x02, 0xDB, 0x03}),
            (Bytes{0xC0, 0x01, 0xDB, 0xDC, 0x02, 0xDB, 0xDD, 0x03, 0xC0}));
}

TEST(SlipEncoderTest, StartsAfreshWithEveryFrame) {
  SlipEncoder encoder;
  encoder.Begin();
  encoder.Append(Bytes{1, 2, 3});
  encoder.End();
  encoder.Begin();
  encoder.Append(Bytes{4});
  encoder.Append(Bytes{});
  encoder.Append(Bytes{5});
  encoder.End();

  EXPECT_EQ(Bytes(encoder.frame().begin(), encoder.frame().end()), (Bytes{0xC0, 4, 5, 0xC0}));
}

struct StreamCase {
  std::string name;
  Bytes stream;
  std::vector<Bytes> frames;
  size_t dropped;
};

TEST(SlipDecoderTest, FindsTheFramesOfEveryStream) {
  const StreamCase cases[] = {
      {"one frame", {0xC0, 1, 2, 0xC0}, {{1, 2}}, 0},
      {"shared delimiter", {0xC0, 1, 0xC0, 2, 0xC0}, {{1}, {2}}, 0},
      {"empty frames", {0xC0, 0xC0, 0xC0, 7, 0xC0, 0xC0}, {{7}}, 0},
      {"escapes", {0xC0, 0xDB, 0xDC, 0xDB, 0xDD, 0xC0}, {{0xC0, 0xDB}}, 0},
      {"unknown escape is dropped, the next frame is not",
       {0xC0, 1, 0xDB, 0x00, 2, 0xC0, 3, 0xC0},
       {{3}},
       1},
      {"escape before the delimiter", {0xC0, 1, 0xDB, 0xC0, 3, 0xC0}, {{3}}, 1},
      {"escape twice", {0xC0, 0xDB, 0xDB, 0xDC, 0xC0, 3, 0xC0}, {{3}}, 1},
      {"noise before the first delimiter is a frame of its own",
       {'e', 't', 's', 0xC0, 9, 0xC0},
       {{'e', 't', 's'}, {9}},
       0},
      {"too long", {0xC0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xC0, 3, 0xC0}, {{3}}, 1},
      {"exactly as long as allowed",
       {0xC0, 1, 2, 3, 4, 5, 6, 7, 8, 0xC0},
       {{1, 2, 3, 4, 5, 6, 7, 8}},
       0},
      {"unfinished", {0xC0, 1, 2}, {}, 0},
      {"nothing", {}, {}, 0},
  };
  for (const StreamCase& c : cases) {
    SlipDecoder decoder(8);
    EXPECT_EQ(DecodeAll(decoder, c.stream), c.frames) << c.name;
    EXPECT_EQ(decoder.dropped_frames(), c.dropped) << c.name;
  }
}

TEST(SlipDecoderTest, ResetForgetsTheBegunFrame) {
  SlipDecoder decoder(8);
  EXPECT_THAT(DecodeAll(decoder, {0xC0, 1, 2, 0xDB}), testing::IsEmpty());
  decoder.Reset();
  EXPECT_THAT(DecodeAll(decoder, {3, 0xC0}), testing::ElementsAre(Bytes{3}));
}

TEST(SlipDecoderTest, RoundTripsRandomPayloadsInRandomPieces) {
  std::mt19937 random(20261121);
  SlipDecoder decoder(512);
  for (int round = 0; round < 300; ++round) {
    Bytes payload(1 + random() % 512);
    for (uint8_t& byte : payload) {
      // Half of the bytes are special ones.
      byte =
          random() % 2 ? (random() % 2 ? kSlipEnd : kSlipEscape) : static_cast<uint8_t>(random());
    }
    const Bytes wire = Encode(payload);
    std::vector<Bytes> frames;
    for (size_t at = 0; at < wire.size();) {
      const size_t size = std::min<size_t>(1 + random() % 40, wire.size() - at);
      for (Bytes& frame : DecodeAll(decoder, Bytes(wire.begin() + at, wire.begin() + at + size))) {
        frames.push_back(std::move(frame));
      }
      at += size;
    }
    ASSERT_THAT(frames, testing::ElementsAre(payload)) << "round " << round;
  }
}

TEST(SlipDecoderTest, NeverHoldsMoreThanItsBoundInRandomNoise) {
  std::mt19937 random(7);
  SlipDecoder decoder(64);
  for (int round = 0; round < 200; ++round) {
    Bytes noise(random() % 1000);
    for (uint8_t& byte : noise) {
      byte = random() % 4 == 0 ? kSlipEscape : static_cast<uint8_t>(random());
    }
    for (const Bytes& frame : DecodeAll(decoder, noise)) {
      ASSERT_GE(frame.size(), 1u);
      ASSERT_LE(frame.size(), 64u);
    }
    // Whatever came before, a delimiter and a good frame are understood.
    Bytes good = {kSlipEnd, 1, 2, 3, kSlipEnd};
    ASSERT_EQ(DecodeAll(decoder, good).back(), (Bytes{1, 2, 3})) << "round " << round;
  }
}

}  // namespace
}  // namespace kiln::esp
