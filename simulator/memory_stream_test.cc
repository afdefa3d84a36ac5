#include "simulator/memory_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "base/little_endian.h"
#include "errors/error.h"
#include "simulator/loader.h"
#include "simulator/slip.h"

namespace kiln::simulator {
namespace {

using ::testing::HasSubstr;

std::vector<uint8_t> SyncFrame() {
  std::vector<uint8_t> payload = {0x00, kSync, 36, 0, 0, 0, 0, 0, 0x07, 0x07, 0x12, 0x20};
  payload.insert(payload.end(), 32, 0x55);
  return SlipEncode(payload);
}

// Everything that arrives until nothing does for `quiet`.
std::vector<uint8_t> ReadAll(ports::ByteStream& stream, absl::Duration quiet) {
  std::vector<uint8_t> all;
  uint8_t buffer[256];
  while (true) {
    const absl::StatusOr<size_t> size = stream.Read(absl::MakeSpan(buffer), quiet);
    if (!size.ok()) return all;
    all.insert(all.end(), buffer, buffer + *size);
  }
}

void EnterDownloadMode(ports::ByteStream& stream) {
  ASSERT_TRUE(stream.SetLines(false, true).ok());
  ASSERT_TRUE(stream.SetLines(true, false).ok());
  ASSERT_TRUE(stream.SetLines(false, false).ok());
}

class MemoryStreamTest : public ::testing::Test {
 protected:
  std::unique_ptr<ports::ByteStream> Open() {
    auto stream = opener_.Open();
    EXPECT_TRUE(stream.ok()) << stream.status();
    return *std::move(stream);
  }

  base::FakeClock clock_;
  SimulatedOpener opener_{BoardConfig{}, clock_};
};

TEST_F(MemoryStreamTest, AnswersSyncEightTimesInDownloadMode) {
  const auto stream = Open();
  EnterDownloadMode(*stream);
  const std::vector<uint8_t> boot = ReadAll(*stream, absl::Milliseconds(10));
  EXPECT_THAT(std::string(boot.begin(), boot.end()), HasSubstr("waiting for download"));

  ASSERT_TRUE(stream->Write(SyncFrame(), absl::Seconds(1)).ok());

  const std::vector<uint8_t> replies = ReadAll(*stream, absl::Milliseconds(100));
  EXPECT_EQ(replies.size(), 8 * 14u);
}

TEST_F(MemoryStreamTest, ReadTimesOutOnTheClockItWasGiven) {
  const auto stream = Open();
  EnterDownloadMode(*stream);
  ReadAll(*stream, absl::Milliseconds(10));
  const absl::Duration before = clock_.Monotonic();
  uint8_t byte;

  const auto read = stream->Read(absl::MakeSpan(&byte, 1), absl::Seconds(3));

  EXPECT_EQ(read.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(clock_.Monotonic() - before, absl::Seconds(3));
}

TEST_F(MemoryStreamTest, UnplugEndsTheStreamAndReplugNeedsANewOne) {
  auto stream = Open();
  opener_.Unplug();

  EXPECT_TRUE(errors::Is(stream->SetLines(false, false), errors::ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is(opener_.Open().status(), errors::ErrorCode::kBoardNotFound));

  opener_.Replug();
  EXPECT_TRUE(errors::Is(stream->DiscardInput(), errors::ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(opener_.Open().ok());
}

TEST_F(MemoryStreamTest, IsHeldByOneAtATime) {
  auto first = Open();
  EXPECT_TRUE(errors::Is(opener_.Open().status(), errors::ErrorCode::kPortBusy));
  first.reset();
  EXPECT_TRUE(opener_.Open().ok());
}

TEST_F(MemoryStreamTest, InterruptCancelsOneCall) {
  const auto stream = Open();
  EnterDownloadMode(*stream);
  ReadAll(*stream, absl::Milliseconds(10));
  uint8_t byte;
  stream->Interrupt();
  EXPECT_EQ(stream->Read(absl::MakeSpan(&byte, 1), absl::Seconds(1)).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(stream->Read(absl::MakeSpan(&byte, 1), absl::Seconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(MemoryStreamTest, WrongRateIsGarbage) {
  const auto stream = Open();
  EnterDownloadMode(*stream);
  ReadAll(*stream, absl::Milliseconds(10));
  ASSERT_TRUE(stream->Write(SyncFrame(), absl::Seconds(1)).ok());
  ReadAll(*stream, absl::Milliseconds(10));
  ASSERT_TRUE(stream->SetBaudRate(921600).ok());

  ASSERT_TRUE(stream->Write(SyncFrame(), absl::Seconds(1)).ok());

  EXPECT_TRUE(ReadAll(*stream, absl::Milliseconds(100)).empty());
  EXPECT_GT(opener_.statistics().garbled_bytes, 0u);
}

TEST(PacedMemoryStreamTest, BytesTakeTheirTimeOnTheWire) {
  base::FakeClock clock;
  BoardConfig config;
  config.model_times = true;
  config.start_in_download_mode = true;
  SimulatedOpener opener(config, clock);
  auto stream = opener.Open();
  ASSERT_TRUE(stream.ok());
  ReadAll(**stream, absl::Milliseconds(100));
  const absl::Duration before = clock.Monotonic();

  ASSERT_TRUE((*stream)->Write(SyncFrame(), absl::Seconds(1)).ok());
  ASSERT_TRUE((*stream)->Drain(absl::Seconds(1)).ok());

  const double seconds = absl::ToDoubleSeconds(clock.Monotonic() - before);
  EXPECT_NEAR(seconds, SyncFrame().size() * 10 / 115200.0, 1e-6);
}

}  // namespace
}  // namespace kiln::simulator
