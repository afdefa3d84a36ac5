#include "simulator/usb/line_test_peer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "simulator/simulated_board.h"

namespace kiln::simulator {
namespace {

constexpr absl::Duration kStart = absl::Seconds(10);
constexpr absl::Duration kByteTime = absl::Milliseconds(1);  // at 10 000 baud

class LineTestPeerTest : public ::testing::Test {
 protected:
  LineTestPeerTest() {
    peer_.PowerOn(kStart);
    peer_.SetHostBaudRate(10'000);
  }
  void Send(absl::string_view text) { peer_.Receive(kStart, base::AsBytes(text)); }
  std::string Take(absl::Duration now) {
    uint8_t bytes[256];
    const size_t size = peer_.TakeOutput(now, absl::MakeSpan(bytes));
    return {bytes, bytes + size};
  }

  LineTestPeer peer_{BoardConfig()};
};

std::vector<uint8_t> TestBytes(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = LineTestByte(i);
  return bytes;
}

TEST_F(LineTestPeerTest, SendsTheBytesAskedForAtTheAdaptersRate) {
  Send("send 100\n");
  const absl::Duration begin = kStart + 9 * kByteTime;  // when the command has arrived
  EXPECT_EQ(peer_.ReceiveDone(), begin);
  EXPECT_EQ(Take(begin), "");
  const std::string first = Take(begin + 40 * kByteTime);
  EXPECT_EQ(first.size(), 40u);
  ASSERT_TRUE(peer_.NextEvent().has_value());
  EXPECT_EQ(*peer_.NextEvent(), begin + 42 * kByteTime) << "a byte, and a frame of the bus";
  const std::string all = first + Take(begin + absl::Seconds(1));
  const std::vector<uint8_t> expected = TestBytes(100);
  EXPECT_EQ(all, std::string(expected.begin(), expected.end()));
  EXPECT_EQ(peer_.NextEvent(), std::nullopt);
}

TEST_F(LineTestPeerTest, GathersAPacketOrAFrame) {
  peer_.SetHostBaudRate(1'000'000);  // 10 us a byte
  Send("send 1000\n");
  const absl::Duration begin = kStart + absl::Microseconds(100);
  EXPECT_EQ(Take(begin + absl::Microseconds(200)).size(), 20u) << "the first";
  EXPECT_EQ(Take(begin + absl::Microseconds(800)).size(), 0u) << "too few, and too soon after it";
  EXPECT_EQ(*peer_.NextEvent(), begin + absl::Microseconds(840));
  EXPECT_EQ(Take(begin + absl::Microseconds(900)).size(), 64u);
  EXPECT_EQ(Take(begin + absl::Microseconds(1000)).size(), 0u);
  EXPECT_EQ(Take(begin + absl::Milliseconds(2)).size(), 116u) << "a frame later, whatever is there";
}

TEST_F(LineTestPeerTest, AnswersWhenTheLastByteHasComeOverTheWire) {
  Send("take 50\n");
  peer_.Receive(kStart, TestBytes(50));
  const absl::Duration end = kStart + 58 * kByteTime;
  EXPECT_EQ(peer_.ReceiveDone(), end);
  EXPECT_EQ(Take(end), "");
  EXPECT_EQ(Take(end + absl::Milliseconds(100)), "right\n");
}

TEST_F(LineTestPeerTest, SeesAWrongByte) {
  std::vector<uint8_t> bytes = TestBytes(50);
  bytes[30] ^= 1;
  Send("take 50\n");
  peer_.Receive(kStart, bytes);
  EXPECT_EQ(Take(kStart + absl::Seconds(1)), "wrong\n");
}

TEST_F(LineTestPeerTest, IsSilentAboutWhatIsNoCommand) {
  Send("\ngive 5\ntake\ntake 0\nsend x\n");
  Send(std::string(1000, 'x') + "\n");
  EXPECT_EQ(Take(kStart + absl::Minutes(1)), "");
  EXPECT_EQ(peer_.NextEvent(), std::nullopt);
}

TEST_F(LineTestPeerTest, ForgetsEverythingWithItsPower) {
  Send("send 100\n");
  peer_.PowerOff();
  peer_.PowerOn(kStart + absl::Seconds(1));
  EXPECT_EQ(Take(kStart + absl::Seconds(2)), "");
}

}  // namespace
}  // namespace kiln::simulator
