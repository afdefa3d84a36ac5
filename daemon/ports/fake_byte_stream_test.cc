#include "daemon/ports/fake_byte_stream.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr absl::Duration kSecond = absl::Seconds(1);

TEST(FakeByteStreamTest, ReadsArrivedBytesThenTheScriptThenSilence) {
  base::FakeClock clock;
  FakeWire wire(&clock);
  wire.QueueRead({3, 4, 5});
  wire.QueueReadError(absl::UnknownError("scripted"));
  wire.Arrive(std::vector<uint8_t>{1, 2});
  FakeByteStream stream(wire);
  std::vector<uint8_t> buffer(2);

  ASSERT_EQ(stream.Read(absl::MakeSpan(buffer), kSecond).value(), 2u);
  EXPECT_THAT(buffer, ElementsAre(1, 2));
  ASSERT_EQ(stream.Read(absl::MakeSpan(buffer), kSecond).value(), 2u);
  EXPECT_THAT(buffer, ElementsAre(3, 4));
  ASSERT_EQ(stream.Read(absl::MakeSpan(buffer), kSecond).value(), 1u);
  EXPECT_EQ(buffer[0], 5);
  EXPECT_EQ(stream.Read(absl::MakeSpan(buffer), kSecond).status().message(), "scripted");
  const absl::Duration before = clock.Monotonic();
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream.Read(absl::MakeSpan(buffer), kSecond).status()));
  EXPECT_EQ(clock.Monotonic() - before, kSecond);
}

TEST(FakeByteStreamTest, RespondsToWritesAndRecordsCallsInOrder) {
  FakeWire wire;
  wire.SetResponder([](absl::Span<const uint8_t> bytes) {
    return std::vector<uint8_t>(bytes.rbegin(), bytes.rend());
  });
  FakeByteStream stream(wire);
  std::vector<uint8_t> buffer(8);

  ASSERT_TRUE(stream.SetLines(true, false).ok());
  ASSERT_TRUE(stream.SetBaudRate(460800).ok());
  ASSERT_TRUE(stream.Write(std::vector<uint8_t>{7, 8}, kSecond).ok());
  ASSERT_EQ(stream.Read(absl::MakeSpan(buffer), kSecond).value(), 2u);

  EXPECT_EQ(buffer[0], 8);
  EXPECT_THAT(wire.written(), ElementsAre(7, 8));
  EXPECT_THAT(wire.bauds(), ElementsAre(460800u));
  EXPECT_THAT(wire.lines(), ElementsAre(Pair(true, false)));
  EXPECT_EQ(wire.calls().size(), 3u);
}

TEST(FakeByteStreamTest, InjectedFailureStrikesOnce) {
  FakeWire wire;
  wire.FailCall(FakeWire::Call::Kind::kWrite, 1, absl::UnknownError("second write"));
  FakeByteStream stream(wire);
  const std::vector<uint8_t> bytes = {1};
  EXPECT_TRUE(stream.Write(bytes, kSecond).ok());
  EXPECT_EQ(stream.Write(bytes, kSecond).message(), "second write");
  EXPECT_TRUE(stream.Write(bytes, kSecond).ok());
}

TEST(FakeByteStreamTest, StaysDeadAfterReplugWhileANewOneWorks) {
  FakeWire wire;
  FakeStreamOpener opener(wire);
  auto stream = opener.Open().value();
  EXPECT_TRUE(errors::Is(opener.Open().status(), ErrorCode::kPortBusy));
  wire.UnplugAfterBytesWritten(2);
  EXPECT_TRUE(stream->Write(std::vector<uint8_t>{1}, kSecond).ok());
  EXPECT_TRUE(
      errors::Is(stream->Write(std::vector<uint8_t>{2}, kSecond), ErrorCode::kBoardUnplugged));
  EXPECT_FALSE(opener.Present());
  EXPECT_TRUE(errors::Is(opener.Open().status(), ErrorCode::kBoardNotFound));
  wire.Replug();
  EXPECT_TRUE(errors::Is(stream->SetBaudRate(115200), ErrorCode::kBoardUnplugged));
  stream.reset();
  EXPECT_TRUE(opener.Open().value()->SetBaudRate(115200).ok());
}

TEST(FakeByteStreamTest, InterruptCancelsTheNextCallOnce) {
  FakeWire wire;
  wire.QueueRead({9});
  FakeByteStream stream(wire);
  std::vector<uint8_t> buffer(1);
  stream.Interrupt();
  EXPECT_TRUE(absl::IsCancelled(stream.Read(absl::MakeSpan(buffer), kSecond).status()));
  EXPECT_EQ(stream.Read(absl::MakeSpan(buffer), kSecond).value(), 1u);
}

}  // namespace
}  // namespace kiln::ports
