#include "daemon/ports/usb/usb_serial_stream.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/fake_usb_device.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_pipes.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;

constexpr absl::Duration kLong = absl::Seconds(20);
constexpr absl::Duration kLook = absl::ZeroDuration();

// What the transfers in flight take.
constexpr size_t kAllTransfers = UsbPipes::kTransfersOut * UsbPipes::kOutSize;

// Time passes only where somebody has waited in vain, and at once if it is not long: such a wait is
// one that nothing is to end. However slow the machine, nothing takes longer than the test says.
class WaitingClock final : public base::Clock {
 public:
  absl::Time Now() const override { return base::SystemClock().Now(); }
  absl::Duration Monotonic() const override { return absl::Nanoseconds(nanoseconds_.load()); }
  void Sleep(absl::Duration duration) override { Pass(duration); }
  bool AwaitCondition(absl::Mutex* mutex, absl::FunctionRef<bool()> condition,
                      absl::Duration timeout) override {
    const absl::Duration real = timeout < kHopeful ? absl::ZeroDuration() : timeout;
    if (base::SystemClock().AwaitCondition(mutex, condition, real)) return true;
    Pass(timeout);
    return false;
  }

 private:
  static constexpr absl::Duration kHopeful = absl::Seconds(2);

  // At least that long: what waits for part of a nanosecond is not to wait for ever.
  void Pass(absl::Duration duration) {
    if (duration <= absl::ZeroDuration()) return;
    nanoseconds_ += absl::ToInt64Nanoseconds(absl::Ceil(duration, absl::Nanoseconds(1)));
  }

  std::atomic<int64_t> nanoseconds_ = 0;
};

// A stream through a CH340, whose driver adds nothing to the bytes, unless a test asks for another.
class UsbSerialStreamTest : public ::testing::Test {
 protected:
  void Open(uint16_t vendor = 0x1a86, uint16_t product = 0x7523,
            base::Clock& clock = base::SystemClock()) {
    device_.Answer(0x5f, {0x31, 0x00});
    const UsbSerialLayout layout = {.in = {.address = 0x82, .is_bulk = true, .max_packet = 64},
                                    .out = {.address = 0x02, .is_bulk = true, .max_packet = 64}};
    auto stream = UsbSerialStream::Start(device_.Open(), *FindUsbAdapter(vendor, product), layout,
                                         0x0600, "usb://1-2", clock);
    ASSERT_TRUE(stream.ok()) << stream.status();
    stream_ = *std::move(stream);
  }

  absl::StatusOr<std::string> Read(absl::Duration timeout, size_t at_most = 100'000) {
    std::vector<uint8_t> buffer(at_most);
    const auto count = stream_->Read(absl::MakeSpan(buffer), timeout);
    if (!count.ok()) return count.status();
    return std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*count));
  }

  absl::Status Write(size_t bytes, absl::Duration timeout) {
    return stream_->Write(std::vector<uint8_t>(bytes, 'x'), timeout);
  }

  FakeUsbDevice device_;
  WaitingClock waiting_clock_;
  std::unique_ptr<UsbSerialStream> stream_;
};

TEST_F(UsbSerialStreamTest, AssertsBothLinesTogetherWhenItOpens) {
  Open();
  const FakeUsbDevice::ControlCall last = device_.control_calls().back();
  EXPECT_EQ(last.setup, (UsbSetup{0x40, 0xa4, 0xff9f, 0}));
}

TEST_F(UsbSerialStreamTest, ReadsWhatArrivedInOrderAndWaitsForMore) {
  Open();
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(kLook).status()));
  device_.Arrive({'a', 'b', 'c'});
  EXPECT_EQ(*Read(kLong, 2), "ab");
  EXPECT_EQ(*Read(kLong), "c");
  device_.Arrive({'d'});
  device_.Arrive({'e'});
  ASSERT_TRUE(device_.AwaitArrivalsTaken());
  EXPECT_EQ(*Read(kLong), "de");
}

TEST_F(UsbSerialStreamTest, KeepsSeveralTransfersInFlightBothWays) {
  Open();
  EXPECT_EQ(device_.in_transfers_waiting(), UsbPipes::kTransfersIn);
  device_.HoldOut(true);
  ASSERT_TRUE(Write(kAllTransfers, kLong).ok());
  EXPECT_EQ(device_.out_transfers_waiting(), UsbPipes::kTransfersOut);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Write(1, absl::Milliseconds(1))));
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream_->Drain(absl::Milliseconds(1))));
  device_.HoldOut(false);
  EXPECT_TRUE(stream_->Drain(kLong).ok());
  EXPECT_EQ(device_.written().size(), kAllTransfers);
}

// The newest value of FTDI's latency timer, in milliseconds.
uint16_t LatencyOf(const FakeUsbDevice& device) {
  uint16_t latency = 0;
  for (const FakeUsbDevice::ControlCall& call : device.control_calls()) {
    if (call.setup.request == 9) latency = call.setup.value;
  }
  return latency;
}

TEST_F(UsbSerialStreamTest, LetsAnFtdiReportSeldomWhileItIsSilentAndNobodyWrites) {
  Open(0x0403, 0x6001, waiting_clock_);
  EXPECT_EQ(LatencyOf(device_), 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Milliseconds(50)).status()));
  EXPECT_EQ(LatencyOf(device_), 1) << "an answer may take that long";
  device_.HoldOut(true);
  ASSERT_TRUE(Write(1, kLong).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Milliseconds(1100)).status()));
  EXPECT_EQ(LatencyOf(device_), 1) << "the question is still on its way";
  device_.HoldOut(false);
  ASSERT_TRUE(stream_->Drain(kLong).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Milliseconds(1100)).status()));
  EXPECT_EQ(LatencyOf(device_), 16);
  ASSERT_TRUE(Write(1, kLong).ok());
  EXPECT_EQ(LatencyOf(device_), 1) << "the answer is to come at once";
}

TEST_F(UsbSerialStreamTest, SilenceIsWhatAnyNumberOfShortReadsHaveNotHeard) {
  Open(0x0403, 0x6001, waiting_clock_);
  const auto read_in_vain = [this](int times) {
    for (int i = 0; i < times; ++i) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Milliseconds(100)).status()));
    }
  };
  read_in_vain(9);
  device_.Arrive({0x01, 0x60, 'a'});
  ASSERT_TRUE(device_.AwaitArrivalsTaken());
  EXPECT_EQ(*Read(kLong), "a");
  read_in_vain(9);
  EXPECT_EQ(LatencyOf(device_), 1) << "not silent for as long as that";
  read_in_vain(2);
  EXPECT_EQ(LatencyOf(device_), 16);
}

TEST_F(UsbSerialStreamTest, SilenceBeginsWhenTheLastByteHasBeenSentHoweverLongThatTook) {
  Open(0x0403, 0x6001, waiting_clock_);
  device_.HoldOut(true);
  ASSERT_TRUE(Write(kAllTransfers, kLong).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Write(1, absl::Milliseconds(1100))));
  device_.HoldOut(false);
  ASSERT_TRUE(device_.AwaitArrivalsTaken());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Milliseconds(500)).status()));
  EXPECT_EQ(LatencyOf(device_), 1);

  device_.HoldOut(true);
  ASSERT_TRUE(Write(1, kLong).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream_->Drain(absl::Milliseconds(1100))));
  device_.HoldOut(false);
  ASSERT_TRUE(stream_->Drain(kLong).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Milliseconds(50)).status()));
  EXPECT_EQ(LatencyOf(device_), 1);
}

// Without it, an FTDI reports a thousand times a second that it has nothing to report.
TEST_F(UsbSerialStreamTest, LetsAnFtdiReportSeldomDuringALongWriteUntilItsAnswerIsDue) {
  Open(0x0403, 0x6001, waiting_clock_);
  ASSERT_TRUE(stream_->SetBaudRate(921'600).ok());
  const auto write = [this](size_t size) {
    ASSERT_TRUE(Write(size, kLong).ok());
    ASSERT_TRUE(device_.AwaitArrivalsTaken());
  };
  const auto read_in_vain = [this](absl::Duration time) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(Read(time).status()));
  };
  write(3'000);
  EXPECT_EQ(LatencyOf(device_), 1) << "33 ms are not worth it";
  read_in_vain(absl::Milliseconds(50));
  write(16 * 1024);
  EXPECT_EQ(LatencyOf(device_), 16) << "the line is busy for 178 ms";
  read_in_vain(absl::Milliseconds(160));
  EXPECT_EQ(LatencyOf(device_), 16);
  read_in_vain(absl::Milliseconds(15));
  EXPECT_EQ(LatencyOf(device_), 1);

  write(16 * 1024);
  EXPECT_EQ(LatencyOf(device_), 16);
  write(10);
  EXPECT_EQ(LatencyOf(device_), 16) << "its answer comes after the long one's";
  ASSERT_TRUE(stream_->Drain(kLong).ok());
  EXPECT_EQ(LatencyOf(device_), 1) << "reports tell when the adapter is empty";
  write(16 * 1024);
  read_in_vain(absl::Seconds(3));
  EXPECT_EQ(LatencyOf(device_), 16) << "silence";
}

TEST_F(UsbSerialStreamTest, TakesTheTransfersOfAStreamTogetherButNotThoseOfAnswers) {
  Open(0x1a86, 0x7523, waiting_clock_);
  const auto arrive = [this](int times) {
    for (int i = 0; i < times; ++i) {
      waiting_clock_.Sleep(absl::Microseconds(700));
      device_.Arrive({'a'});
      ASSERT_TRUE(device_.AwaitArrivalsTaken());
    }
  };
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(Write(1, kLong).ok());
    arrive(2);
  }
  EXPECT_EQ(device_.longest_gathering(), absl::ZeroDuration());
  arrive(50);
  EXPECT_GT(device_.longest_gathering(), absl::Milliseconds(3));
  EXPECT_LT(device_.longest_gathering(), absl::Microseconds(700) * UsbPipes::kTransfersIn)
      << "the adapter would find no transfer waiting";
}

TEST_F(UsbSerialStreamTest, FailsNoReadWhereAnFtdiWillNotReportSeldom) {
  Open(0x0403, 0x6001, waiting_clock_);
  device_.ForgetControlCalls();
  device_.RefuseRequest(9);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Milliseconds(1100)).status()));
  }
  EXPECT_EQ(device_.control_calls().size(), 1U) << "asked once";
  device_.Arrive({0x01, 0x60, 'a'});
  EXPECT_EQ(*Read(kLong), "a");
}

TEST_F(UsbSerialStreamTest, TellsOfAnFtdisUnplugAlsoWhereItWouldReportSeldomJustThen) {
  Open(0x0403, 0x6001, waiting_clock_);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(absl::Seconds(1)).status()));
  EXPECT_EQ(LatencyOf(device_), 1) << "it is for the next read to say";
  device_.Unplug();
  EXPECT_TRUE(errors::Is(Read(kLong).status(), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is(Read(kLong).status(), ErrorCode::kBoardUnplugged));
}

TEST_F(UsbSerialStreamTest, WritesMoreThanItsTransfersHold) {
  Open();
  std::vector<uint8_t> bytes(100'000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + (i >> 8));
  ASSERT_TRUE(stream_->Write(bytes, kLong).ok());
  ASSERT_TRUE(stream_->Drain(kLong).ok());
  EXPECT_EQ(device_.written(), bytes);
}

TEST_F(UsbSerialStreamTest, StopsAskingWhileNobodyReads) {
  Open();
  const size_t transfers = UsbPipes::kHighWater / UsbPipes::kInSize;
  for (size_t i = 0; i < transfers + 10; ++i) {
    device_.Arrive(std::vector<uint8_t>(UsbPipes::kInSize, 'y'));
  }
  ASSERT_TRUE(device_.AwaitInTransfers(0));
  size_t total = 0;
  while (total < (transfers + 10) * UsbPipes::kInSize) {
    const auto bytes = Read(kLong, 4096);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    total += bytes->size();
  }
  EXPECT_TRUE(device_.AwaitInTransfers(UsbPipes::kTransfersIn));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(kLook).status()));
}

TEST_F(UsbSerialStreamTest, GivesWhatCameBeforeTheUnplugAndThenStaysDead) {
  Open();
  device_.Arrive({'a'});
  ASSERT_TRUE(device_.AwaitArrivalsTaken());
  device_.Unplug();
  EXPECT_EQ(*Read(kLong), "a");
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(errors::Is(Read(kLong).status(), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(Write(1, kLong), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream_->Drain(kLong), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream_->SetLines(true, true), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream_->SetBaudRate(9'600), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream_->DiscardInput(), ErrorCode::kBoardUnplugged));
  }
}

TEST_F(UsbSerialStreamTest, WakesAReaderWhenTheBoardIsUnplugged) {
  Open();
  std::thread unplugger([this] {
    EXPECT_TRUE(device_.AwaitInTransfers(UsbPipes::kTransfersIn));
    device_.Unplug();
  });
  EXPECT_TRUE(errors::Is(Read(kLong).status(), ErrorCode::kBoardUnplugged));
  unplugger.join();
}

TEST_F(UsbSerialStreamTest, WakesAWriterWhenTheBoardIsUnplugged) {
  Open();
  device_.HoldOut(true);
  ASSERT_TRUE(Write(kAllTransfers, kLong).ok());
  std::thread unplugger([this] { device_.Unplug(); });
  EXPECT_TRUE(errors::Is(Write(1, kLong), ErrorCode::kBoardUnplugged));
  unplugger.join();
}

TEST_F(UsbSerialStreamTest, IsInterruptedOnce) {
  Open();
  stream_->Interrupt();
  stream_->Interrupt();
  EXPECT_TRUE(absl::IsCancelled(Read(kLong).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(kLook).status()));
  stream_->Interrupt();
  EXPECT_TRUE(absl::IsCancelled(Write(1, kLong)));
  EXPECT_TRUE(Write(1, kLong).ok());
  stream_->Interrupt();
  EXPECT_TRUE(absl::IsCancelled(stream_->Drain(kLong)));
  EXPECT_TRUE(stream_->Drain(kLong).ok());
}

TEST_F(UsbSerialStreamTest, TriesAFailedTransferAgainBeforeItGivesUp) {
  Open();
  device_.FailIn(UsbOutcome::kFailed);
  device_.FailIn(UsbOutcome::kFailed);
  device_.Arrive({'a'});
  EXPECT_EQ(*Read(kLong), "a");
  for (int i = 0; i < 3; ++i) device_.FailIn(UsbOutcome::kFailed);
  EXPECT_TRUE(errors::Is(Read(kLong).status(), ErrorCode::kBoardUnplugged));
}

TEST_F(UsbSerialStreamTest, TakesAnEndpointOutOfItsHalt) {
  Open();
  device_.FailIn(UsbOutcome::kStalled);
  device_.Arrive({'a'});
  EXPECT_EQ(*Read(kLong), "a");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(kLook).status()));
  EXPECT_EQ(device_.halts_cleared(), 1);
}

TEST_F(UsbSerialStreamTest, TakesManyTransfersThatOneHaltEndsForOneFailure) {
  Open();
  for (int i = 0; i < 5; ++i) device_.FailIn(UsbOutcome::kStalled);
  device_.Arrive({'a'});
  ASSERT_TRUE(device_.AwaitArrivalsTaken());
  EXPECT_EQ(*Read(kLong), "a");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(kLook).status()));
  EXPECT_EQ(device_.halts_cleared(), 1);
}

TEST_F(UsbSerialStreamTest, GivesUpAnEndpointThatHaltsAgainAndAgain) {
  Open();
  for (size_t i = 0; i < 3 * UsbPipes::kTransfersIn; ++i) device_.FailIn(UsbOutcome::kStalled);
  EXPECT_TRUE(errors::Is(Read(kLong).status(), ErrorCode::kBoardUnplugged));
}

TEST_F(UsbSerialStreamTest, TellsOnceThatBytesWereLost) {
  Open();
  device_.FailOut(UsbOutcome::kStalled);
  ASSERT_TRUE(Write(1, kLong).ok());
  EXPECT_TRUE(errors::Is(stream_->Drain(kLong), ErrorCode::kPortFailed));
  EXPECT_TRUE(Write(1, kLong).ok());
  EXPECT_TRUE(stream_->Drain(kLong).ok());
  EXPECT_EQ(device_.halts_cleared(), 1);
}

TEST_F(UsbSerialStreamTest, TakesBytesLostOnTheBusForTheUnplugThatTheHubHasYetToNotice) {
  Open();
  device_.FailOut(UsbOutcome::kFailed);
  ASSERT_TRUE(Write(1, kLong).ok());
  EXPECT_TRUE(errors::Is(stream_->Drain(kLong), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is(Write(1, kLong), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is(Read(kLong).status(), ErrorCode::kBoardUnplugged));
}

TEST_F(UsbSerialStreamTest, DrainsForAsLongAsTheAdaptersBufferTakes) {
  Open();
  ASSERT_TRUE(stream_->SetBaudRate(9'600).ok());
  const absl::Duration before = base::SystemClock().Monotonic();
  ASSERT_TRUE(Write(1'000, kLong).ok());
  ASSERT_TRUE(stream_->Drain(kLong).ok());
  // 64 bytes of ten bits.
  EXPECT_GE(base::SystemClock().Monotonic() - before, absl::Milliseconds(66));
}

TEST_F(UsbSerialStreamTest, DrainsUntilTheAdapterSaysItIsEmpty) {
  Open(0x10c4, 0xea60);
  std::vector<uint8_t> status(19);
  status[12] = 1;
  device_.Answer(0x10, status);
  ASSERT_TRUE(stream_->SetBaudRate(300).ok());
  ASSERT_TRUE(Write(1'000, kLong).ok());
  // 640 bytes take 21 s; only the adapter's word ends this earlier.
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream_->Drain(absl::Milliseconds(20))));
  status[12] = 0;
  device_.Answer(0x10, status);
  EXPECT_TRUE(stream_->Drain(kLong).ok());
}

TEST_F(UsbSerialStreamTest, DiscardsWhatWasNotRead) {
  Open();
  device_.Arrive({'a'});
  ASSERT_TRUE(device_.AwaitArrivalsTaken());
  ASSERT_TRUE(stream_->DiscardInput().ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Read(kLook).status()));
  device_.Arrive({'b'});
  EXPECT_EQ(*Read(kLong), "b");
}

TEST_F(UsbSerialStreamTest, RefusesRatesOutsideAnyAdaptersRange) {
  Open();
  EXPECT_TRUE(errors::Is(stream_->SetBaudRate(0), ErrorCode::kRequestInvalid));
  EXPECT_TRUE(errors::Is(stream_->SetBaudRate(13'000'000), ErrorCode::kRequestInvalid));
}

TEST_F(UsbSerialStreamTest, HasNoRateToSetOnAChipsOwnUsb) {
  Open(0x303a, 0x1001);
  EXPECT_EQ(stream_->traits().kind, LinkKind::kUsbSerialJtag);
  EXPECT_FALSE(stream_->traits().has_baud_rate);
  EXPECT_TRUE(stream_->traits().has_modem_lines);
}

TEST_F(UsbSerialStreamTest, EndsItsTransfersWhenClosed) {
  Open();
  device_.HoldOut(true);
  ASSERT_TRUE(Write(5'000, kLong).ok());
  stream_.reset();
  EXPECT_EQ(device_.in_transfers_waiting(), 0U);
  EXPECT_EQ(device_.out_transfers_waiting(), 0U);
}

}  // namespace
}  // namespace kiln::ports
