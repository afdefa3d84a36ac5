#include "daemon/ports/socket_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;

// Only a failing test waits for it.
constexpr absl::Duration kPatience = absl::Seconds(20);

// A TCP server on a free loopback port.
class SocketStreamTest : public ::testing::Test {
 protected:
  SocketStreamTest() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), generic, sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 4), 0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  std::unique_ptr<ByteStream> Open() {
    auto stream = SocketOpener("127.0.0.1", port_).Open();
    EXPECT_TRUE(stream.ok()) << stream.status();
    peer_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(peer_.valid());
    return *std::move(stream);
  }

  base::UniqueFd listener_;
  base::UniqueFd peer_;
  uint16_t port_ = 0;
};

TEST_F(SocketStreamTest, CarriesBytesBothWays) {
  auto stream = Open();
  ASSERT_TRUE(stream->Write(std::vector<uint8_t>{0, 0xc0, 0xff}, kPatience).ok());
  ASSERT_TRUE(stream->Drain(kPatience).ok());
  std::vector<uint8_t> bytes(3);
  ASSERT_EQ(::recv(peer_.get(), bytes.data(), bytes.size(), MSG_WAITALL), 3);
  EXPECT_THAT(bytes, ElementsAre(0, 0xc0, 0xff));
  ASSERT_EQ(::send(peer_.get(), bytes.data(), 2, 0), 2);
  EXPECT_EQ(stream->Read(absl::MakeSpan(bytes), kPatience).value(), 2u);
}

TEST_F(SocketStreamTest, HasNeitherLinesNorRate) {
  auto stream = Open();
  EXPECT_EQ(stream->traits().kind, LinkKind::kSocket);
  EXPECT_FALSE(stream->traits().has_modem_lines);
  EXPECT_FALSE(stream->traits().has_baud_rate);
  EXPECT_TRUE(stream->SetBaudRate(921600).ok());
  EXPECT_TRUE(errors::Is(stream->SetLines(true, false), ErrorCode::kPortFailed));
}

TEST_F(SocketStreamTest, TimesOutAndIsInterrupted) {
  auto stream = Open();
  std::vector<uint8_t> buffer(8);
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      stream->Read(absl::MakeSpan(buffer), absl::Milliseconds(2)).status()));
  const std::vector<uint8_t> much(64 << 20);  // more than the system's buffers take
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream->Write(much, absl::Milliseconds(20))));
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream->Drain(absl::Milliseconds(2))));
  absl::Status status;
  std::thread reader(
      [&] { status = stream->Read(absl::MakeSpan(buffer), absl::InfiniteDuration()).status(); });
  stream->Interrupt();
  reader.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_F(SocketStreamTest, CloseByTheOtherSideIsAnUnplugAfterTheLastByte) {
  auto stream = Open();
  ASSERT_EQ(::send(peer_.get(), "x", 1, 0), 1);
  peer_.Reset();
  std::vector<uint8_t> buffer(8);
  ASSERT_EQ(stream->Read(absl::MakeSpan(buffer), kPatience).value(), 1u);
  EXPECT_TRUE(errors::Is(stream->Read(absl::MakeSpan(buffer), kPatience).status(),
                         ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is(stream->Write(buffer, kPatience), ErrorCode::kBoardUnplugged));
  EXPECT_TRUE(errors::Is(stream->DiscardInput(), ErrorCode::kBoardUnplugged));
}

TEST_F(SocketStreamTest, DiscardInputThrowsAwayWhatHasArrived) {
  auto stream = Open();
  ASSERT_EQ(::send(peer_.get(), "abc", 3, 0), 3);
  std::vector<uint8_t> buffer(1);
  ASSERT_TRUE(stream->Read(absl::MakeSpan(buffer), kPatience).ok());
  ASSERT_TRUE(stream->DiscardInput().ok());
  ASSERT_EQ(::send(peer_.get(), "d", 1, 0), 1);
  ASSERT_TRUE(stream->Read(absl::MakeSpan(buffer), kPatience).ok());
  EXPECT_EQ(buffer[0], 'd');
}

TEST_F(SocketStreamTest, NobodyListeningIsBoardNotFound) {
  listener_.Reset();
  const absl::Status status = SocketOpener("127.0.0.1", port_).Open().status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kBoardNotFound)) << status;
}

TEST_F(SocketStreamTest, FindsHostsByName) {
  EXPECT_TRUE(SocketOpener("localhost", port_).Open().ok());
}

TEST(SocketAddressTest, PutsBracketsAroundIpv6) {
  EXPECT_EQ(SocketOpener("emulator", 5555).address(), "socket://emulator:5555");
  EXPECT_EQ(SocketOpener("::1", 5555).address(), "socket://[::1]:5555");
  EXPECT_TRUE(SocketOpener("emulator", 5555).Present());
}

}  // namespace
}  // namespace kiln::ports
