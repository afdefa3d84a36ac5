// A share between Kiln's own client and a board that is the other end of a socket.

#include "daemon/ports/rfc2217/port_share.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/rfc2217_opener.h"
#include "daemon/ports/rfc2217/rfc2217_test_util.h"
#include "daemon/ports/rfc2217/share_bench.h"
#include "daemon/ports/rfc2217/telnet.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PortShareTest : public ::testing::Test {
 protected:
  PortShareTest() {
    ShareOptions options;
    options.port = 0;
    options.on_event = [this](ShareEvent event, absl::string_view) {
      absl::MutexLock lock(&mutex_);
      events_.push_back(event);
    };
    auto share = PortShare::Create(bench_, options);
    EXPECT_TRUE(share.ok()) << share.status();
    share_ = *std::move(share);
    runner_ = std::thread([this] { share_->Run(); });
  }
  ~PortShareTest() override {
    share_->Stop();
    runner_.join();
  }

  int Count(ShareEvent event) {
    absl::MutexLock lock(&mutex_);
    int count = 0;
    for (const ShareEvent seen : events_) count += seen == event ? 1 : 0;
    return count;
  }
  absl::StatusOr<std::unique_ptr<ByteStream>> Connect() {
    return Rfc2217Opener("127.0.0.1", share_->port()).Open();
  }

  ShareBench bench_;
  std::unique_ptr<PortShare> share_;
  std::thread runner_;
  absl::Mutex mutex_;
  std::vector<ShareEvent> events_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(PortShareTest, CarriesEveryByteBothWays) {
  auto client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  std::string all;
  for (int i = 0; i < 60'000; ++i) all.push_back(static_cast<char>(i * 7));
  ASSERT_TRUE((*client)->Write(Bytes(all.begin(), all.end()), kPatience).ok());
  EXPECT_EQ(bench_.Hear(all.size()), all);
  for (size_t at = 0; at < all.size(); at += 20'000) {
    bench_.Say(all.substr(at, 20'000));
    EXPECT_EQ(ReadText(**client, 20'000), all.substr(at, 20'000));
  }
}

TEST_F(PortShareTest, SettingsKeepTheirPlaceAmongTheBytes) {
  auto client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE((*client)->Write(Bytes{'a'}, kPatience).ok());
  ASSERT_TRUE((*client)->SetBaudRate(921600).ok());
  ASSERT_TRUE((*client)->SetBaudRate(115200).ok());
  EXPECT_EQ(bench_.Hear(1), "a");
  EXPECT_THAT(bench_.log(), ElementsAre("open", "baud 921600", "baud 115200"));
}

TEST_F(PortShareTest, ARefusedRateIsAnsweredWithTheOneInForce) {
  bench_.set_lowest_refused_baud(1'000'000);
  auto client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE((*client)->SetBaudRate(921600).ok());
  const absl::Status status = (*client)->SetBaudRate(2'000'000);
  EXPECT_TRUE(errors::Is(status, ErrorCode::kBaudRateUnsupported)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("stays at 921600"));
  EXPECT_TRUE((*client)->SetBaudRate(460800).ok());
}

TEST_F(PortShareTest, ClassicBecomesOneChangeOfBothLinesAndTheLinesAreReleasedAtTheEnd) {
  auto client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  for (const auto& [dtr, rts] :
       {std::pair(false, true), {true, true}, {true, false}, {false, false}}) {
    ASSERT_TRUE((*client)->SetLines(dtr, rts).ok());
  }
  EXPECT_THAT(bench_.log(), ElementsAre("open", "lines 00", "lines 01", "lines 10", "lines 00"));
  ASSERT_TRUE((*client)->SetLines(true, false).ok());
  client->reset();
  AwaitTrue([&] { return bench_.log().back() == "close"; });
  EXPECT_EQ(bench_.log()[bench_.log().size() - 2], "lines 00");
}

TEST_F(PortShareTest, DiscardsWhatTheBoardSaidBefore) {
  auto client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  bench_.Say("old");
  ASSERT_TRUE((*client)->DiscardInput().ok());
  bench_.Say("new");
  EXPECT_EQ(ReadText(**client, 3), "new");
}

TEST_F(PortShareTest, ServesOneClientAtATimeAndTheNextOneAfterIt) {
  auto first = Connect();
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = Connect().status();
  EXPECT_TRUE(errors::Is(second, ErrorCode::kPortBusy)) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr("another client is connected"));
  EXPECT_EQ(Count(ShareEvent::kTurnedAway), 1);
  bench_.Say("still here");
  EXPECT_EQ(ReadText(**first, 10), "still here");
  first->reset();
  AwaitTrue([&] { return Count(ShareEvent::kParted) == 1; });
  EXPECT_TRUE(Connect().ok());
}

TEST_F(PortShareTest, AnUnpluggedBoardEndsTheConnectionAndAPluggedOneIsServedAgain) {
  auto client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  bench_.Unplug();
  Bytes buffer(8);
  EXPECT_TRUE(errors::Is((*client)->Read(absl::MakeSpan(buffer), kPatience).status(),
                         ErrorCode::kBoardUnplugged));
  AwaitTrue([&] { return Count(ShareEvent::kNoBoard) == 1; });
  EXPECT_TRUE(errors::Is(Connect().status(), ErrorCode::kBoardNotFound));
  bench_.Plug();
  AwaitTrue([&] { return Count(ShareEvent::kReady) == 2; });
  client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  bench_.Say("back");
  EXPECT_EQ(ReadText(**client, 4), "back");
}

TEST_F(PortShareTest, TellsTheClientWhyTheBoardCannotBeUsed) {
  bench_.set_busy(true);
  const absl::Status status = Connect().status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortBusy)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("held by a test"));
}

TEST_F(PortShareTest, StopsInTheMiddleOfAConnection) {
  auto client = Connect();
  ASSERT_TRUE(client.ok()) << client.status();
  share_->Stop();
  Bytes buffer(8);
  EXPECT_TRUE(errors::Is((*client)->Read(absl::MakeSpan(buffer), kPatience).status(),
                         ErrorCode::kBoardUnplugged));
  EXPECT_EQ(bench_.log().back(), "close");
}

// A client that speaks the wire itself.
class RawClient final : private TelnetSink {
 public:
  explicit RawClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  void Send(const Bytes& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // The next answer that is no modem state: "SET-CONTROL 8".
  std::string Answer() {
    while (answers_.empty()) {
      uint8_t byte = 0;
      if (::recv(fd_.get(), &byte, 1, 0) != 1) return "closed";
      decoder_.Feed(absl::MakeConstSpan(&byte, 1));
    }
    std::string answer = answers_.front();
    answers_.erase(answers_.begin());
    return answer;
  }
  std::string Ask(ComPortCommand command, std::optional<uint32_t> value) {
    Bytes out;
    AppendComPortRequest(command, value, out);
    Send(out);
    return Answer();
  }

 private:
  void OnData(absl::Span<const uint8_t>) override {}
  void OnNegotiation(TelnetVerb, uint8_t) override {}
  void OnSubnegotiation(uint8_t, absl::Span<const uint8_t> payload) override {
    const auto message = ParseComPort(payload);
    ASSERT_TRUE(message.has_value() && message->from_server);
    answers_.push_back(absl::StrCat(ComPortCommandName(message->command), " ",
                                    message->command == ComPortCommand::kSignature
                                        ? message->signature
                                        : absl::StrCat(message->value.value_or(0))));
  }

  base::UniqueFd fd_;
  TelnetDecoder decoder_{*this};
  std::vector<std::string> answers_;
};

TEST_F(PortShareTest, AnswersEveryRequestWithWhatIsInForce) {
  struct Case {
    ComPortCommand command;
    std::optional<uint32_t> value;
    const char* answer;
  };
  RawClient client(share_->port());
  for (const Case& test : {
           Case{ComPortCommand::kSignature, std::nullopt, "SIGNATURE kiln port share"},
           Case{ComPortCommand::kSetBaudRate, 0, "SET-BAUDRATE 115200"},
           Case{ComPortCommand::kSetBaudRate, 230400, "SET-BAUDRATE 230400"},
           Case{ComPortCommand::kSetBaudRate, 4'000'000'000, "SET-BAUDRATE 230400"},
           Case{ComPortCommand::kSetDataSize, 7, "SET-DATASIZE 8"},
           Case{ComPortCommand::kSetParity, 3, "SET-PARITY 1"},
           Case{ComPortCommand::kSetStopSize, 2, "SET-STOPSIZE 1"},
           Case{ComPortCommand::kSetControl, kControlAskFlow, "SET-CONTROL 1"},
           Case{ComPortCommand::kSetControl, kControlHardwareFlow, "SET-CONTROL 1"},
           Case{ComPortCommand::kSetControl, kControlInboundXonXoff, "SET-CONTROL 14"},
           Case{ComPortCommand::kSetControl, kControlBreakOn, "SET-CONTROL 6"},
           Case{ComPortCommand::kSetControl, kControlDtrOn, "SET-CONTROL 8"},
           Case{ComPortCommand::kSetControl, kControlAskDtr, "SET-CONTROL 8"},
           Case{ComPortCommand::kSetControl, kControlAskRts, "SET-CONTROL 12"},
           Case{ComPortCommand::kNotifyLineState, std::nullopt, "NOTIFY-LINESTATE 96"},
           Case{ComPortCommand::kNotifyModemState, std::nullopt, "NOTIFY-MODEMSTATE 0"},
           Case{ComPortCommand::kSetLineStateMask, 255, "SET-LINESTATE-MASK 255"},
           Case{ComPortCommand::kSetModemStateMask, 7, "SET-MODEMSTATE-MASK 7"},
           Case{ComPortCommand::kPurgeData, kPurgeBoth, "PURGE-DATA 3"},
       }) {
    EXPECT_EQ(client.Ask(test.command, test.value), test.answer);
  }
}

TEST_F(PortShareTest, LivesThroughNonsenseAndFloods) {
  RawClient client(share_->port());
  uint32_t state = 1;
  Bytes noise;
  for (int i = 0; i < 200'000; ++i) {
    state = state * 1664525 + 1013904223;
    const uint8_t byte = static_cast<uint8_t>(state >> 24);
    noise.push_back(byte % 4 == 0 ? 0xff : byte % 7 == 0 ? uint8_t{250} : byte);
  }
  std::atomic<bool> done = false;
  std::thread board([&] {  // takes whatever reaches it
    while (!done) {
      bench_.Drop();
      absl::SleepFor(absl::Milliseconds(1));
    }
  });
  client.Send(noise);
  client.Send({0xff, 240, 0xff, 240});  // ends a subnegotiation that the noise began
  std::string answer = client.Ask(ComPortCommand::kSignature, std::nullopt);
  while (answer != "closed" && answer != "SIGNATURE kiln port share") answer = client.Answer();
  EXPECT_EQ(answer, "SIGNATURE kiln port share");
  done = true;
  board.join();
}

}  // namespace
}  // namespace kiln::ports
