#include "simulator/usb/usbip_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

Bytes Words(std::initializer_list<uint32_t> words) {
  Bytes bytes;
  for (const uint32_t word : words) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<uint8_t>(word >> shift));
    }
  }
  return bytes;
}

// CMD_SUBMIT: command, sequence, device, direction, endpoint, flags, length, start frame, packets,
// interval, setup.
Bytes Submit(uint32_t sequence, uint32_t direction, uint32_t endpoint, uint32_t length,
             uint32_t packets = 0) {
  return Words({1, sequence, 0x10002, direction, endpoint, 0, length, 0, packets, 0, 0x40030102,
                0x03040506});
}

Bytes Unlink(uint32_t sequence, uint32_t victim) {
  return Words({2, sequence, 0x10002, 0, 0, victim, 0, 0, 0, 0, 0, 0});
}

// The next command, which must be there.
UsbIpCommand Take(UsbIpDecoder& decoder) {
  absl::StatusOr<std::optional<UsbIpCommand>> next = decoder.Next();
  EXPECT_TRUE(next.ok()) << next.status();
  EXPECT_TRUE(next.ok() && next->has_value());
  return next.ok() && next->has_value() ? **std::move(next) : UsbIpCommand();
}

bool NothingYet(UsbIpDecoder& decoder) {
  const absl::StatusOr<std::optional<UsbIpCommand>> next = decoder.Next();
  EXPECT_TRUE(next.ok()) << next.status();
  return next.ok() && !next->has_value();
}

TEST(UsbIpDecoderTest, ReadsARequestForBytes) {
  UsbIpDecoder decoder;
  decoder.Append(Submit(7, 1, 2, 512));
  const UsbIpCommand command = Take(decoder);
  EXPECT_EQ(command.sequence, 7u);
  EXPECT_FALSE(command.unlinks.has_value());
  EXPECT_EQ(command.endpoint, 0x82);
  EXPECT_EQ(command.length, 512u);
  EXPECT_TRUE(command.data.empty()) << "no data follows a read";
  EXPECT_THAT(command.setup, ElementsAre(0x40, 3, 1, 2, 3, 4, 5, 6));
  EXPECT_TRUE(NothingYet(decoder));
}

TEST(UsbIpDecoderTest, WaitsForEveryByteOfAWrite) {
  UsbIpDecoder decoder;
  Bytes message = Submit(8, 0, 1, 5, 0xFFFFFFFF);
  message.insert(message.end(), {'h', 'e', 'l', 'l', 'o'});
  for (size_t i = 0; i + 1 < message.size(); ++i) {
    decoder.Append(absl::MakeConstSpan(&message[i], 1));
    ASSERT_TRUE(NothingYet(decoder)) << "after byte " << i;
  }
  decoder.Append(absl::MakeConstSpan(&message.back(), 1));
  const UsbIpCommand command = Take(decoder);
  EXPECT_EQ(command.endpoint, 1);
  EXPECT_THAT(command.data, ElementsAre('h', 'e', 'l', 'l', 'o'));
}

TEST(UsbIpDecoderTest, ReadsTheWishForAnEmptyPacketAtTheEnd) {
  UsbIpDecoder decoder;
  decoder.Append(Words({1, 1, 0, 0, 1, 0x40, 0, 0, 0, 0, 0, 0}));
  decoder.Append(Words({1, 2, 0, 0, 1, 0x200, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(Take(decoder).zero_packet);
  EXPECT_FALSE(Take(decoder).zero_packet);
}

TEST(UsbIpDecoderTest, CutsSeveralCommandsThatCameTogether) {
  UsbIpDecoder decoder;
  Bytes message = Submit(1, 0, 2, 1);
  message.push_back('x');
  for (const Bytes& next : {Submit(2, 1, 1, 64), Unlink(3, 2)}) {
    message.insert(message.end(), next.begin(), next.end());
  }
  decoder.Append(message);
  EXPECT_THAT(Take(decoder).data, ElementsAre('x'));
  EXPECT_EQ(Take(decoder).endpoint, 0x81);
  const UsbIpCommand unlink = Take(decoder);
  EXPECT_EQ(unlink.sequence, 3u);
  EXPECT_EQ(unlink.unlinks, 2u);
  EXPECT_TRUE(NothingYet(decoder));
}

TEST(UsbIpDecoderTest, RefusesWhatNoHostSends) {
  const std::vector<std::pair<Bytes, std::string>> cases = {
      {Words({5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), "command 5"},
      {Submit(1, 2, 1, 0), "direction 2"},
      {Submit(1, 0, 16, 0), "endpoint 16"},
      {Submit(1, 0, 0x81, 0), "endpoint 129"},
      {Submit(1, 0, 1, UsbIpDecoder::kMaxTransfer + 1), "1048577 bytes"},
      {Submit(1, 1, 1, 0xFFFFFFFF), "4294967295 bytes"},
      {Submit(1, 1, 1, 64, 8), "isochronous"},
  };
  for (const auto& [message, words] : cases) {
    UsbIpDecoder decoder;
    decoder.Append(message);
    const absl::StatusOr<std::optional<UsbIpCommand>> next = decoder.Next();
    EXPECT_EQ(next.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(next.status().message()), HasSubstr(words));
  }
}

TEST(UsbIpEncodeTest, AnswersAReadWithItsBytes) {
  const Bytes data = {1, 2, 3};
  Bytes expected = Words({3, 9, 0, 0, 0, 0, 3, 0, 0xFFFFFFFF, 0, 0, 0});
  expected.insert(expected.end(), data.begin(), data.end());
  EXPECT_THAT(EncodeUsbIpSubmitAnswer(9, 0, 3, data), ElementsAreArray(expected));
}

TEST(UsbIpEncodeTest, AnswersAStallWithItsErrorAlone) {
  EXPECT_THAT(EncodeUsbIpSubmitAnswer(9, -EPIPE, 0, {}),
              ElementsAreArray(Words({3, 9, 0, 0, 0, 0xFFFFFFE0, 0, 0, 0xFFFFFFFF, 0, 0, 0})));
}

TEST(UsbIpEncodeTest, AnswersAnUnlink) {
  EXPECT_THAT(EncodeUsbIpUnlinkAnswer(10, -ECONNRESET),
              ElementsAreArray(Words({4, 10, 0, 0, 0, 0xFFFFFF98, 0, 0, 0, 0, 0, 0})));
}

}  // namespace
}  // namespace kiln::simulator
