// The client of RFC 2217 against a server whose manners each test chooses.

#include "daemon/ports/rfc2217/rfc2217_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/rfc2217/rfc2217_opener.h"
#include "daemon/ports/rfc2217/rfc2217_test_server.h"
#include "daemon/ports/rfc2217/rfc2217_test_util.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

base::UniqueFd ConnectTo(uint16_t port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

absl::StatusOr<std::unique_ptr<Rfc2217Stream>> Open(const Rfc2217TestServer& server,
                                                    const Rfc2217Stream::Timeouts& timeouts = {}) {
  return Rfc2217Stream::Negotiate(ConnectTo(server.port()), "rfc2217://test", timeouts);
}

TEST(Rfc2217StreamTest, SetsThePortUpAndLeavesTheLinesAlone) {
  Rfc2217TestServer server({});
  const auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_THAT(server.requests(),
              ElementsAre("SET-DATASIZE 8", "SET-PARITY 1", "SET-STOPSIZE 1", "SET-CONTROL 1",
                          "SET-LINESTATE-MASK 0", "SET-MODEMSTATE-MASK 0", "SET-BAUDRATE 115200",
                          "PURGE-DATA 3"));
  const LinkTraits traits = (*stream)->traits();
  EXPECT_EQ(traits.kind, LinkKind::kRemoteSerial);
  EXPECT_TRUE(traits.has_modem_lines);
  EXPECT_TRUE(traits.has_baud_rate);
  EXPECT_GT(traits.round_trip, absl::ZeroDuration());
}

TEST(Rfc2217StreamTest, CarriesEveryByteBothWays) {
  Rfc2217TestServer server({});
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  std::string all;
  for (int i = 0; i < 100'000; ++i) all.push_back(static_cast<char>(i * 7));
  ASSERT_TRUE((*stream)->Write(Bytes(all.begin(), all.end()), kPatience).ok());
  ASSERT_TRUE((*stream)->Drain(kPatience).ok());
  EXPECT_EQ(server.data(), all);
  server.Say(all);
  EXPECT_EQ(ReadText(**stream, all.size()), all);
}

TEST(Rfc2217StreamTest, ChangesTheRateOnceTheServerSaysSo) {
  Rfc2217TestServer server({});
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE((*stream)->SetBaudRate(921600).ok());
  EXPECT_TRUE((*stream)->SetBaudRate(921600).ok());  // nothing to ask for
  EXPECT_EQ(server.requests().back(), "SET-BAUDRATE 921600");
  EXPECT_EQ(server.requests().size(), 9u);
  EXPECT_TRUE(errors::Is((*stream)->SetBaudRate(1), ErrorCode::kBaudRateUnsupported));
}

TEST(Rfc2217StreamTest, AsksOnlyForLinesThatChange) {
  Rfc2217TestServer server({});
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  const size_t before = server.requests().size();
  for (const auto& [dtr, rts] :
       {std::pair(false, true), {true, true}, {true, false}, {false, false}, {false, false}}) {
    ASSERT_TRUE((*stream)->SetLines(dtr, rts).ok());
  }
  EXPECT_EQ((*stream)->acknowledges_lines(), true);
  const auto requests = server.requests();
  EXPECT_EQ(absl::StrJoin(requests.begin() + static_cast<ptrdiff_t>(before), requests.end(), ","),
            "SET-CONTROL 9,SET-CONTROL 11,SET-CONTROL 8,SET-CONTROL 12,SET-CONTROL 9");
}

TEST(Rfc2217StreamTest, LearnsThatAServerDoesNotAcknowledgeTheLines) {
  Manners manners;
  manners.acknowledges_lines = false;
  Rfc2217TestServer server(manners);
  auto stream = Open(server, {.first_lines = absl::Milliseconds(20)});
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE((*stream)->SetLines(false, true).ok());
  EXPECT_EQ((*stream)->acknowledges_lines(), false);
  ASSERT_TRUE((*stream)->SetLines(true, false).ok());
  ASSERT_TRUE((*stream)->Drain(kPatience).ok());
  EXPECT_EQ(server.requests()[server.requests().size() - 2], "SET-CONTROL 12");
}

TEST(Rfc2217StreamTest, DiscardsWhatTheServerSentBeforeItAnswered) {
  Manners manners;
  manners.chatters = true;
  Rfc2217TestServer server(manners);
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE((*stream)->SetBaudRate(9600).ok());
  EXPECT_EQ(ReadText(**stream, 2), ".\xff");
  ASSERT_TRUE((*stream)->SetBaudRate(19200).ok());
  ASSERT_TRUE((*stream)->DiscardInput().ok());
  server.Say("new");
  EXPECT_EQ(ReadText(**stream, 3), "new");
}

TEST(Rfc2217StreamTest, PausesWhileTheServerAsksForIt) {
  Manners manners;
  manners.suspends = true;
  Rfc2217TestServer server(manners);
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE(absl::IsDeadlineExceeded((*stream)->Write(Bytes{'a'}, absl::Milliseconds(20))));
  EXPECT_EQ(server.data(), "");
  server.Resume();
  EXPECT_TRUE((*stream)->Write(Bytes{'b'}, kPatience).ok());
  EXPECT_TRUE((*stream)->Drain(kPatience).ok());
  EXPECT_EQ(server.data(), "b");
}

TEST(Rfc2217StreamTest, ABrokenConnectionIsAnUnpluggedBoardAfterItsLastWords) {
  Rfc2217TestServer server({});
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  server.Say("bye");
  EXPECT_EQ(ReadText(**stream, 1).substr(0, 1), "b");
  server.CloseConnection();
  Bytes buffer(16);
  absl::Status status;
  while (status.ok()) status = (*stream)->Read(absl::MakeSpan(buffer), kPatience).status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kBoardUnplugged)) << status;
  EXPECT_TRUE((*stream)->gone());
  EXPECT_TRUE(errors::Is((*stream)->Write(buffer, kPatience), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is((*stream)->SetBaudRate(9600), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is((*stream)->SetLines(true, true), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is((*stream)->Drain(kPatience), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is((*stream)->DiscardInput(), ErrorCode::kBoardUnplugged));
}

TEST(Rfc2217StreamTest, TimesOutAndIsInterrupted) {
  Rfc2217TestServer server({});
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  Bytes buffer(8);
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      (*stream)->Read(absl::MakeSpan(buffer), absl::Milliseconds(2)).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      (*stream)->Read(absl::MakeSpan(buffer), absl::ZeroDuration()).status()));
  absl::Status status;
  std::thread reader(
      [&] { status = (*stream)->Read(absl::MakeSpan(buffer), absl::InfiniteDuration()).status(); });
  (*stream)->Interrupt();
  reader.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  server.Say("ab");
  EXPECT_EQ(ReadText(**stream, 1).substr(0, 1), "a");
  (*stream)->Interrupt();
  server.Say("c");
  EXPECT_TRUE(absl::IsCancelled((*stream)->Read(absl::MakeSpan(buffer), kPatience).status()));
}

struct RefusalCase {
  const char* name;
  Manners manners;
  ErrorCode code;
  const char* why;
};

TEST(Rfc2217StreamTest, SaysWhyAServerIsNoUse) {
  const Rfc2217Stream::Timeouts quick = {.negotiation = kPatience,
                                         .answer = absl::Milliseconds(100)};
  for (const RefusalCase& test : {
           RefusalCase{"no com port",
                       {.offers_com_port = false},
                       ErrorCode::kPortFailed,
                       "to let its port be controlled"},
           RefusalCase{"no binary", {.offers_binary = false}, ErrorCode::kPortFailed, "BINARY"},
           RefusalCase{"closes",
                       {.closes_at_once = true},
                       ErrorCode::kPortBusy,
                       "closed the connection at once"},
           RefusalCase{"closes with a word",
                       {.closes_at_once = true, .greeting = "Port already in use\r\n"},
                       ErrorCode::kPortBusy,
                       "Port already in use\\r\\n"},
           RefusalCase{"another rate",
                       {.only_baud = 9600},
                       ErrorCode::kBaudRateUnsupported,
                       "stays at 9600"},
           RefusalCase{"no purge",
                       {.acknowledges_purge = false},
                       ErrorCode::kPortFailed,
                       "does not acknowledge PURGE-DATA"},
       }) {
    Rfc2217TestServer server(test.manners);
    const absl::Status status = Open(server, quick).status();
    EXPECT_TRUE(errors::Is(status, test.code)) << test.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.why)) << test.name;
  }
}

TEST(Rfc2217StreamTest, ASilentServerIsNone) {
  base::UniqueFd ends[2];
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ends[0].Reset(pair[0]);
  ends[1].Reset(pair[1]);
  const absl::Status status = Rfc2217Stream::Negotiate(std::move(ends[0]), "rfc2217://test",
                                                       {.negotiation = absl::Milliseconds(20)})
                                  .status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortFailed)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no RFC 2217 server answers"));
}

TEST(Rfc2217StreamTest, SaysThatALineWasRefused) {
  Manners manners;
  manners.refuses_lines = true;
  Rfc2217TestServer server(manners);
  auto stream = Open(server);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE((*stream)->SetLines(false, false).ok());
  const absl::Status status = (*stream)->SetLines(true, false);
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortFailed)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("refuses to set DTR"));
}

TEST(Rfc2217OpenerTest, OpensAgainAfterTheConnectionBrokeAndTellsOnePluggingInFromTheNext) {
  auto server = std::make_unique<Rfc2217TestServer>(Manners{});
  const uint16_t port = server->port();
  Rfc2217Opener opener("127.0.0.1", port);
  EXPECT_EQ(opener.address(), absl::StrCat("rfc2217://127.0.0.1:", port));
  EXPECT_TRUE(opener.Present());
  const std::string first = opener.Instance();
  auto stream = opener.Open();
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE(opener.Present());

  server.reset();  // nobody listens any more
  Bytes buffer(8);
  EXPECT_TRUE(errors::Is((*stream)->Read(absl::MakeSpan(buffer), kPatience).status(),
                         ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(opener.Present()) << "until the user of the stream lets it go";
  stream->reset();
  EXPECT_FALSE(opener.Present());
  EXPECT_TRUE(errors::Is(opener.Open().status(), ErrorCode::kBoardNotFound));
  EXPECT_FALSE(opener.Present());

  server = std::make_unique<Rfc2217TestServer>(Manners{}, port);
  AwaitTrue([&] { return opener.Present(); });
  EXPECT_NE(opener.Instance(), first);
  // The server takes one client: the one that looked is the one that opens.
  stream = opener.Open();
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE((*stream)->SetBaudRate(9600).ok());
}

}  // namespace
}  // namespace kiln::ports
