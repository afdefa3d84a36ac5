#include "daemon/esp/loader_protocol.h"

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "daemon/esp/slip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes FrameOf(const SlipEncoder& encoder) {
  return Bytes(encoder.frame().begin(), encoder.frame().end());
}

TEST(RequestTest, SyncIsByteForByteTheDocumentedFrame) {
  SlipEncoder encoder;
  EncodeRequest(LoaderCommand::kSync, SyncPayload(), encoder);

  Bytes expected = {0xC0, 0x00, 0x08, 0x24, 0x00, 0, 0, 0, 0, 0x07, 0x07, 0x12, 0x20};
  expected.insert(expected.end(), 32, 0x55);
  expected.push_back(0xC0);
  EXPECT_EQ(FrameOf(encoder), expected);
}

TEST(RequestTest, DataCarriesLengthSequenceAndChecksum) {
  SlipEncoder encoder;
  const Bytes data = {0x01, 0x02, 0x04};
  EncodeDataRequest(LoaderCommand::kFlashDeflData, 3, data, encoder);

  const Bytes expected = {0xC0, 0x00, 0x11, 0x13, 0x00, 0xEF ^ 0x07, 0, 0, 0, 3, 0, 0, 0, 3,   0,
                          0,    0,    0,    0,    0,    0,           0, 0, 0, 0, 1, 2, 4, 0xC0};
  EXPECT_EQ(FrameOf(encoder), expected);
}

TEST(RequestTest, ChecksumOfNothingIsTheSeed) { EXPECT_EQ(DataChecksum({}), 0xEF); }

TEST(RequestTest, WordsAreLittleEndian) {
  EXPECT_EQ(Words({0x01020304, 5}), (Bytes{4, 3, 2, 1, 5, 0, 0, 0}));
}

TEST(ResponseTest, RefusesWhatIsNoResponse) {
  const struct {
    std::string name;
    Bytes frame;
  } cases[] = {
      {"empty", {}},
      {"short header", {1, 8, 2, 0, 0, 0, 0}},
      {"a request", {0, 8, 2, 0, 0, 0, 0, 0, 0, 0}},
      {"size larger than the frame", {1, 8, 4, 0, 0, 0, 0, 0, 0, 0}},
      {"size smaller than the frame", {1, 8, 0, 0, 0, 0, 0, 0, 0, 0}},
      {"text", {'r', 's', 't', ':', '0', 'x', '1', ' ', '(', 'P'}},
  };
  for (const auto& c : cases) EXPECT_FALSE(ParseResponse(c.frame).has_value()) << c.name;
}

TEST(ResponseTest, ReadsValueAndPayload) {
  const Bytes frame = {1, 0x0A, 4, 0, 0x83, 0x1D, 0xF0, 0x00, 0, 0, 0, 0};
  const std::optional<LoaderResponse> response = ParseResponse(frame);

  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->command, LoaderCommand::kReadReg);
  EXPECT_EQ(response->value, 0x00F01D83u);
  EXPECT_EQ(response->payload.size(), 4u);
}

struct StatusCase {
  std::string name;
  Bytes payload;
  size_t data_bytes;
  std::optional<LoaderStatus> expected;
};

TEST(ResponseTest, FindsTheStatusOfRomAndStubAnswers) {
  const StatusCase cases[] = {
      {"ROM success", {0, 0, 0, 0}, 0, LoaderStatus{0, 0}},
      {"stub success", {0, 0}, 0, LoaderStatus{0, 0}},
      {"ROM refusal", {1, 5, 0, 0}, 0, LoaderStatus{1, 5}},
      {"stub refusal", {0xC1, 0}, 0, LoaderStatus{0xC1, 0}},
      {"stub data", {9, 9, 9, 0, 0}, 3, LoaderStatus{0, 0}},
      {"ROM data", {9, 9, 9, 0, 0, 0, 0}, 3, LoaderStatus{0, 0}},
      {"refusal instead of data", {1, 6, 0, 0}, 16, LoaderStatus{1, 6}},
      {"success without the data", {0, 0, 0, 0}, 16, std::nullopt},
      {"no status", {0}, 0, std::nullopt},
      {"nothing", {}, 0, std::nullopt},
  };
  for (const StatusCase& c : cases) {
    LoaderResponse response;
    response.command = LoaderCommand::kSpiFlashMd5;
    response.payload = c.payload;
    const std::optional<LoaderStatus> status = StatusOf(response, c.data_bytes);
    ASSERT_EQ(status.has_value(), c.expected.has_value()) << c.name;
    if (!status.has_value()) continue;
    EXPECT_EQ(status->status, c.expected->status) << c.name;
    EXPECT_EQ(status->error, c.expected->error) << c.name;
  }
}

TEST(ResponseTest, NamesTheErrorsOfBothLoaders) {
  EXPECT_THAT(DescribeLoaderStatus({1, 0x0B}), testing::HasSubstr("deflate error"));
  EXPECT_THAT(DescribeLoaderStatus({0xC7, 0}), testing::HasSubstr("inflate error"));
  EXPECT_THAT(DescribeLoaderStatus({1, 0x77}), testing::HasSubstr("unknown"));
}

TEST(ResponseTest, CommandsHaveNames) {
  EXPECT_EQ(LoaderCommandName(LoaderCommand::kSpiFlashMd5), "SPI_FLASH_MD5");
  EXPECT_EQ(LoaderCommandName(static_cast<LoaderCommand>(0x42)), "0x42");
}

TEST(ResponseTest, SurvivesRandomFrames) {
  std::mt19937 random(11);
  int parsed = 0;
  for (int round = 0; round < 5000; ++round) {
    Bytes frame(random() % 40);
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random());
    // Make a well-formed header likely.
    if (frame.size() >= 8 && random() % 2) {
      frame[0] = 1;
      frame[2] = static_cast<uint8_t>(frame.size() - 8);
      frame[3] = 0;
    }
    const std::optional<LoaderResponse> response = ParseResponse(frame);
    if (!response.has_value()) continue;
    ++parsed;
    ASSERT_EQ(response->payload.size(), frame.size() - 8);
    StatusOf(*response, random() % 40);
  }
  EXPECT_GT(parsed, 1000);
}

}  // namespace
}  // namespace kiln::esp
