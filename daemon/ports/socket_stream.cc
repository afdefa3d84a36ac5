#include "daemon/ports/socket_stream.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/tcp_connect.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// How fast the output queue is taken to empty, which only paces the looking.
constexpr uint32_t kNominalRate = 100'000'000;
// DiscardInput takes at most this many buffers, so that a far end that never
// stops sending cannot hold it.
constexpr int kMaxDiscardReads = 1024;

}  // namespace

absl::StatusOr<std::unique_ptr<SocketStream>> SocketStream::Connect(const std::string& host,
                                                                    uint16_t port,
                                                                    absl::Duration timeout) {
  const std::string address = SocketAddress(host, port);
  ASSIGN_OR_RETURN(base::UniqueFd wakeup, MakeWakeup());
  ASSIGN_OR_RETURN(TcpConnection connection, ConnectTcp(host, port, address, timeout));
  return std::unique_ptr<SocketStream>(
      new SocketStream(std::move(connection.fd), std::move(wakeup), address));
}

absl::Status SocketStream::Drain(absl::Duration timeout) {
  return AwaitEmptyQueue(timeout, kNominalRate);
}

absl::Status SocketStream::DiscardInput() {
  RETURN_IF_ERROR(CheckAlive());
  std::array<uint8_t, 4096> buffer;
  for (int reads = 0; reads < kMaxDiscardReads; ++reads) {
    const ssize_t count = ::read(fd(), buffer.data(), buffer.size());
    if (count == 0) return Gone("closed by the other side");
    if (count > 0 || errno == EINTR) continue;
    if (errno == EAGAIN) break;
    return Failure("reading", errno);
  }
  return absl::OkStatus();
}

absl::Status SocketStream::SetBaudRate(uint32_t) { return CheckAlive(); }

absl::Status SocketStream::SetLines(bool, bool) {
  RETURN_IF_ERROR(CheckAlive());
  return MakeError(ErrorCode::kPortFailed,
                   absl::StrCat(address(), ": a raw socket has no modem lines"));
}

SocketOpener::SocketOpener(std::string host, uint16_t port) : host_(std::move(host)), port_(port) {}

absl::StatusOr<std::unique_ptr<ByteStream>> SocketOpener::Open() {
  return SocketStream::Connect(host_, port_);
}

std::string SocketOpener::address() const { return SocketAddress(host_, port_); }

std::string SocketAddress(const std::string& host, uint16_t port) {
  const bool bare_ipv6 = host.find(':') != std::string::npos;
  return absl::StrCat("socket://", bare_ipv6 ? "[" : "", host, bare_ipv6 ? "]" : "", ":", port);
}

}  // namespace kiln::ports
