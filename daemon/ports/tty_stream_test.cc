// What a kernel tty and a pseudo-terminal have in common, on real
// pseudo-terminals.
#include "daemon/ports/tty_stream.h"

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/ports/kernel_tty.h"
#include "daemon/ports/pseudo_terminal.h"
#include "daemon/ports/test_terminal.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::HasSubstr;

// Only a failing test waits for it.
constexpr absl::Duration kPatience = absl::Seconds(20);

std::vector<uint8_t> AllBytes() {
  std::vector<uint8_t> bytes(256);
  std::iota(bytes.begin(), bytes.end(), 0);
  return bytes;
}

class TtyStreamTest : public ::testing::TestWithParam<LinkKind> {
 protected:
  std::unique_ptr<StreamOpener> Opener() const {
    if (GetParam() == LinkKind::kPseudoTerminal) {
      return std::make_unique<PseudoTerminalOpener>(terminal_.path());
    }
    return std::make_unique<KernelTtyOpener>(terminal_.path());
  }
  std::unique_ptr<ByteStream> Open() const {
    auto stream = Opener()->Open();
    EXPECT_TRUE(stream.ok()) << stream.status();
    return *std::move(stream);
  }
  // All of `count` bytes, over as many reads as it takes.
  static std::vector<uint8_t> ReadAll(ByteStream& stream, size_t count) {
    std::vector<uint8_t> bytes(count);
    size_t done = 0;
    while (done < count) {
      auto got = stream.Read(absl::MakeSpan(bytes).subspan(done), kPatience);
      EXPECT_TRUE(got.ok()) << got.status();
      if (!got.ok()) break;
      done += *got;
    }
    return bytes;
  }

  TestTerminal terminal_;
};

INSTANTIATE_TEST_SUITE_P(, TtyStreamTest,
                         ::testing::Values(LinkKind::kUartBridge, LinkKind::kPseudoTerminal),
                         [](const auto& info) {
                           return info.param == LinkKind::kPseudoTerminal ? "PseudoTerminal"
                                                                          : "KernelTty";
                         });

TEST_P(TtyStreamTest, CarriesEveryByteValueUnchangedBothWays) {
  auto stream = Open();
  const std::vector<uint8_t> bytes = AllBytes();
  ASSERT_TRUE(stream->Write(bytes, kPatience).ok());
  EXPECT_EQ(terminal_.Read(bytes.size()), bytes);
  terminal_.Write(bytes);
  EXPECT_EQ(ReadAll(*stream, bytes.size()), bytes);
}

TEST_P(TtyStreamTest, WritesMoreThanTheQueueHolds) {
  auto stream = Open();
  std::vector<uint8_t> bytes(200'000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
  std::vector<uint8_t> received;
  std::thread reader([&] { received = terminal_.Read(bytes.size()); });
  EXPECT_TRUE(stream->Write(bytes, kPatience).ok());
  EXPECT_TRUE(stream->Drain(kPatience).ok());
  reader.join();
  EXPECT_EQ(received, bytes);
}

TEST_P(TtyStreamTest, ReadTakesWhatIsThereWithoutWaitingForMore) {
  auto stream = Open();
  terminal_.Write(std::vector<uint8_t>{1, 2, 3});
  std::vector<uint8_t> buffer(2);
  ASSERT_EQ(stream->Read(absl::MakeSpan(buffer), kPatience).value(), 2u);
  ASSERT_EQ(stream->Read(absl::MakeSpan(buffer), absl::ZeroDuration()).value(), 1u);
  EXPECT_EQ(buffer[0], 3);
}

TEST_P(TtyStreamTest, TimeoutsEndWithDeadlineExceeded) {
  auto stream = Open();
  std::vector<uint8_t> buffer(16);
  for (const absl::Duration timeout :
       {absl::Seconds(-1), absl::ZeroDuration(), absl::Microseconds(300), absl::Milliseconds(5)}) {
    const absl::Duration start = base::SystemClock().Monotonic();
    const absl::Status status = stream->Read(absl::MakeSpan(buffer), timeout).status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_GE(base::SystemClock().Monotonic() - start, timeout);
  }
  // Nobody reads at the other end: the queue fills and no room comes.
  const std::vector<uint8_t> much(1 << 20);
  const absl::Status status = stream->Write(much, absl::Milliseconds(5));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST_P(TtyStreamTest, InterruptEndsOneWaitFromAnotherThread) {
  auto stream = Open();
  std::vector<uint8_t> buffer(16);
  absl::Status status;
  std::thread reader(
      [&] { status = stream->Read(absl::MakeSpan(buffer), absl::InfiniteDuration()).status(); });
  stream->Interrupt();
  reader.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  terminal_.Write(std::vector<uint8_t>{1});
  EXPECT_TRUE(stream->Read(absl::MakeSpan(buffer), kPatience).ok()) << "once only";
}

TEST_P(TtyStreamTest, InterruptEndsTheNextCallOnceHoweverOftenItWasAsked) {
  auto stream = Open();
  std::vector<uint8_t> buffer(16);
  terminal_.Write(std::vector<uint8_t>{1});
  stream->Interrupt();
  stream->Interrupt();
  EXPECT_TRUE(absl::IsCancelled(stream->Read(absl::MakeSpan(buffer), kPatience).status()));
  EXPECT_TRUE(stream->Read(absl::MakeSpan(buffer), kPatience).ok());
  stream->Interrupt();
  EXPECT_TRUE(absl::IsCancelled(stream->Write(buffer, kPatience)));
  EXPECT_TRUE(stream->Write(buffer, kPatience).ok());
  stream->Interrupt();
  EXPECT_TRUE(absl::IsCancelled(stream->Drain(kPatience)));
  EXPECT_TRUE(stream->Drain(kPatience).ok());
}

TEST_P(TtyStreamTest, UnplugIsSeenByEveryCallAndStays) {
  auto stream = Open();
  terminal_.Unplug();
  std::vector<uint8_t> buffer(16);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(errors::Is(stream->Read(absl::MakeSpan(buffer), kPatience).status(),
                           ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream->Write(buffer, kPatience), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream->Drain(kPatience), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream->DiscardInput(), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream->SetBaudRate(115200), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(stream->SetLines(true, false), ErrorCode::kBoardUnplugged));
  }
}

TEST_P(TtyStreamTest, AnyCallCanBeTheFirstToSeeTheUnplug) {
  using Call = absl::Status (*)(ByteStream&);
  const std::vector<std::pair<const char*, Call>> calls = {
      {"Write", [](ByteStream& s) { return s.Write(std::vector<uint8_t>{1}, kPatience); }},
      {"Drain", [](ByteStream& s) { return s.Drain(kPatience); }},
      {"DiscardInput", [](ByteStream& s) { return s.DiscardInput(); }},
      {"SetBaudRate", [](ByteStream& s) { return s.SetBaudRate(9600); }},
  };
  for (const auto& [name, call] : calls) {
    auto stream = Open();
    terminal_.Unplug();
    const absl::Status status = call(*stream);
    EXPECT_TRUE(errors::Is(status, ErrorCode::kBoardUnplugged)) << name << ": " << status;
    terminal_.Replug();
  }
}

TEST_P(TtyStreamTest, UnplugWakesABlockedRead) {
  auto stream = Open();
  std::vector<uint8_t> buffer(16);
  absl::Status status;
  std::thread reader(
      [&] { status = stream->Read(absl::MakeSpan(buffer), absl::InfiniteDuration()).status(); });
  terminal_.Unplug();
  reader.join();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kBoardUnplugged)) << status;
}

TEST_P(TtyStreamTest, DiscardInputThrowsAwayOnlyWhatHasArrived) {
  auto stream = Open();
  terminal_.Write(std::vector<uint8_t>{1, 2, 3});
  std::vector<uint8_t> buffer(1);
  ASSERT_TRUE(stream->Read(absl::MakeSpan(buffer), kPatience).ok()) << "so the rest is there too";
  ASSERT_TRUE(stream->DiscardInput().ok());
  terminal_.Write(std::vector<uint8_t>{4});
  ASSERT_TRUE(stream->Read(absl::MakeSpan(buffer), kPatience).ok());
  EXPECT_EQ(buffer[0], 4);
}

TEST_P(TtyStreamTest, MasterSeesAnyRate) {
  auto stream = Open();
  EXPECT_TRUE(stream->traits().has_baud_rate);
  EXPECT_EQ(terminal_.BaudRate(), TtyStream::kInitialBaud);
  for (const uint32_t baud :
       {110u, 9600u, 74880u, 115200u, 250000u, 921600u, 1500000u, 3000000u, 12000000u}) {
    ASSERT_TRUE(stream->SetBaudRate(baud).ok()) << baud;
    EXPECT_EQ(terminal_.BaudRate(), baud);
  }
}

TEST_P(TtyStreamTest, RefusesRatesNoAdapterHas) {
  auto stream = Open();
  for (const uint32_t baud : {0u, 109u, 12000001u, 0xffffffffu}) {
    EXPECT_TRUE(errors::Is(stream->SetBaudRate(baud), ErrorCode::kRequestInvalid)) << baud;
  }
  EXPECT_EQ(terminal_.BaudRate(), TtyStream::kInitialBaud);
}

TEST_P(TtyStreamTest, SecondOpenerLearnsWhoHoldsThePort) {
  auto stream = Open();
  const absl::Status status = Opener()->Open().status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortBusy)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("(pid ", ::getpid(), ")")));
  stream.reset();
  EXPECT_TRUE(Opener()->Open().ok()) << "it was let go";
}

TEST_P(TtyStreamTest, NothingThereIsBoardNotFound) {
  auto opener = Opener();
  EXPECT_TRUE(opener->Present());
  terminal_.Unplug();
  EXPECT_FALSE(opener->Present());
  EXPECT_EQ(opener->Instance(), "");
  EXPECT_TRUE(errors::Is(opener->Open().status(), ErrorCode::kBoardNotFound))
      << opener->Open().status();
  terminal_.Replug();
  EXPECT_TRUE(opener->Present());
  EXPECT_TRUE(opener->Open().ok());
}

TEST_P(TtyStreamTest, RefusesWhatIsNoTerminal) {
  terminal_.Unplug();
  for (const char* target : {"/dev/null", "/etc/passwd", "/tmp"}) {
    ASSERT_EQ(::symlink(target, terminal_.path().c_str()), 0);
    const absl::Status status = Opener()->Open().status();
    EXPECT_TRUE(errors::Is(status, ErrorCode::kPortFailed)) << target << ": " << status;
    ASSERT_EQ(::unlink(terminal_.path().c_str()), 0);
  }
}

TEST_P(TtyStreamTest, ModemLinesNeedSomethingThatCarriesThem) {
  auto stream = Open();
  EXPECT_FALSE(stream->traits().has_modem_lines);
  EXPECT_TRUE(errors::Is(stream->SetLines(true, true), ErrorCode::kPortFailed));
}

}  // namespace
}  // namespace kiln::ports
