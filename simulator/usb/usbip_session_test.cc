#include "simulator/usb/usbip_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/cp210x_model.h"
#include "simulator/usb/serial_peer.h"
#include "simulator/usb/usb_device_model.h"
#include "simulator/usb/usbip_wire.h"

namespace kiln::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kOut = 0;
constexpr uint32_t kIn = 1;
// The words of an answer, in their order.
constexpr size_t kAnswerStatus = 5;
constexpr size_t kAnswerActual = 6;

// The host's end: makes commands, reads answers.
class UsbIpSessionTest : public ::testing::Test {
 protected:
  UsbIpSessionTest()
      : model_(Cp210xModel::Part::kCp2102, std::make_unique<LoopbackPeer>()), session_(model_) {
    model_.Plug(now_);
  }

  static void Append(Bytes& bytes, std::initializer_list<uint32_t> words) {
    for (const uint32_t word : words) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        bytes.push_back(static_cast<uint8_t>(word >> shift));
      }
    }
  }

  absl::Status Submit(uint32_t sequence, uint32_t direction, uint32_t endpoint, uint32_t length,
                      const Bytes& data = {}, const Bytes& setup = Bytes(8)) {
    Bytes message;
    Append(message, {1, sequence, 0x10002, direction, endpoint, 0, length, 0, 0, 0});
    message.insert(message.end(), setup.begin(), setup.end());
    message.insert(message.end(), data.begin(), data.end());
    return session_.FromHost(now_, message);
  }

  absl::Status Unlink(uint32_t sequence, uint32_t victim) {
    Bytes message;
    Append(message, {2, sequence, 0x10002, 0, 0, victim, 0, 0, 0, 0, 0, 0});
    return session_.FromHost(now_, message);
  }

  // Turns the UART on.
  void Enable() {
    ASSERT_TRUE(Submit(1, kOut, 0, 0, {}, {0x41, 0x00, 1, 0, 0, 0, 0, 0}).ok());
    EXPECT_EQ(TakeAnswer().status, 0);
  }

  struct Answer {
    uint32_t kind = 0;
    uint32_t sequence = 0;
    int32_t status = 0;
    uint32_t actual = 0;
    Bytes data;
  };
  // The oldest answer; bytes follow it when it is of a read.
  Answer TakeAnswer(bool read = false) {
    Bytes& output = session_.output();
    if (output.size() < 48) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    const auto word = [&output](size_t index) {
      uint32_t value = 0;
      for (size_t i = 0; i < 4; ++i) value = (value << 8) | output[index * 4 + i];
      return value;
    };
    Answer answer{
        word(0), word(1), static_cast<int32_t>(word(kAnswerStatus)), word(kAnswerActual), {}};
    const size_t size = 48 + (read ? answer.actual : 0);
    answer.data.assign(output.begin() + 48, output.begin() + static_cast<std::ptrdiff_t>(size));
    output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(size));
    return answer;
  }

  absl::Duration now_ = absl::Seconds(1);
  Cp210xModel model_;
  UsbIpSession session_;
};

TEST_F(UsbIpSessionTest, AnswersARequestForTheDescriptor) {
  ASSERT_TRUE(Submit(5, kIn, 0, 64, {}, {0x80, 6, 0, 1, 0, 0, 64, 0}).ok());
  const Answer answer = TakeAnswer(true);
  EXPECT_EQ(answer.kind, 3u);
  EXPECT_EQ(answer.sequence, 5u);
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.data, model_.device_descriptor());
  EXPECT_THAT(session_.output(), IsEmpty());
}

TEST_F(UsbIpSessionTest, TellsAStall) {
  ASSERT_TRUE(Submit(6, kIn, 0, 255, {}, {0x80, 6, 77, 3, 0, 0, 255, 0}).ok());
  const Answer answer = TakeAnswer(true);
  EXPECT_EQ(answer.status, -EPIPE);
  EXPECT_EQ(answer.actual, 0u);
}

TEST_F(UsbIpSessionTest, EndsAWaitingReadOnceBytesCome) {
  Enable();
  ASSERT_TRUE(Submit(7, kIn, 1, 64).ok());
  EXPECT_THAT(session_.output(), IsEmpty());
  ASSERT_TRUE(Submit(8, kOut, 1, 3, {'a', 'b', 'c'}).ok());
  const Answer write = TakeAnswer();
  EXPECT_EQ(write.sequence, 8u);
  EXPECT_EQ(write.actual, 3u);
  session_.Advance(now_ += absl::Milliseconds(10));
  const Answer read = TakeAnswer(true);
  EXPECT_EQ(read.sequence, 7u);
  EXPECT_THAT(read.data, ElementsAre('a', 'b', 'c'));
}

TEST_F(UsbIpSessionTest, AnUnlinkedReadGetsNoAnswerOfItsOwn) {
  Enable();
  ASSERT_TRUE(Submit(7, kIn, 1, 64).ok());
  ASSERT_TRUE(Unlink(8, 7).ok());
  const Answer answer = TakeAnswer();
  EXPECT_EQ(answer.kind, 4u);
  EXPECT_EQ(answer.sequence, 8u);
  EXPECT_EQ(answer.status, -ECONNRESET);
  EXPECT_THAT(session_.output(), IsEmpty());
}

TEST_F(UsbIpSessionTest, AnUnlinkThatComesTooLateSaysSo) {
  Enable();
  ASSERT_TRUE(Unlink(8, 1).ok());
  const Answer answer = TakeAnswer();
  EXPECT_EQ(answer.kind, 4u);
  EXPECT_EQ(answer.status, 0);
}

// Gives one whole packet at endpoint 0x81, and no more.
class OnePacketDevice final : public UsbDeviceModel {
 public:
  OnePacketDevice() : UsbDeviceModel(UsbSpeed::kFull) {
    SetDescriptors({18, 1, 0, 2, 0, 0, 0, 64, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1},
                   {9, 2, 25,   0, 1,  1,    0, 0x80, 50,  // configuration
                    9, 4, 0,    0, 1,  0xFF, 0, 0,    0,   // interface
                    7, 5, 0x81, 2, 64, 0,    0});          // bulk endpoint
  }
  bool TakePacket(absl::Duration, uint8_t, absl::Span<const uint8_t>) override { return true; }
  std::optional<Bytes> GivePacket(absl::Duration, uint8_t) override {
    if (given_) return std::nullopt;
    given_ = true;
    return Bytes(64, 'x');
  }

 private:
  std::optional<Bytes> Answer(absl::Duration, const UsbSetup&, absl::Span<const uint8_t>) override {
    return std::nullopt;
  }
  SerialPort* PortOfEndpoint(uint8_t) override { return nullptr; }
  void ForgetSettings(absl::Duration) override {}

  bool given_ = false;
};

TEST_F(UsbIpSessionTest, AnUnlinkedReadKeepsTheBytesItHasGot) {
  OnePacketDevice device;
  device.Plug(now_);
  UsbIpSession session(device);
  const absl::Duration now = now_;
  // Room for two packets, and one whole packet comes: the read waits for more.
  Bytes message;
  Append(message, {1, 7, 0x10002, kIn, 1, 0, 128, 0, 0, 0, 0, 0});
  ASSERT_TRUE(session.FromHost(now, message).ok());
  ASSERT_THAT(session.output(), IsEmpty());
  message.clear();
  Append(message, {2, 9, 0x10002, 0, 0, 7, 0, 0, 0, 0, 0, 0});
  ASSERT_TRUE(session.FromHost(now, message).ok());

  Bytes expected = EncodeUsbIpSubmitAnswer(7, 0, 64, Bytes(64, 'x'));
  const Bytes unlink = EncodeUsbIpUnlinkAnswer(9, 0);
  expected.insert(expected.end(), unlink.begin(), unlink.end());
  EXPECT_EQ(session.output(), expected);
}

TEST_F(UsbIpSessionTest, IsOverWhenTheHostTalksNonsense) {
  Bytes message;
  Append(message, {9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(session_.FromHost(now_, message).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kiln::simulator
