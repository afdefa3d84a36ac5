#include "daemon/ports/socket_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/host_lookup.h"
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

// One attempt; the error number, or 0.
int ConnectTo(const TcpEndpoint& endpoint, absl::Duration deadline, base::UniqueFd& connected) {
  base::UniqueFd fd(
      ::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
  if (::connect(fd.get(), address, endpoint.size) != 0) {
    if (errno != EINPROGRESS && errno != EINTR) return errno;
    for (;;) {
      pollfd wait = {.fd = fd.get(), .events = POLLOUT, .revents = 0};
      const absl::Duration remaining = deadline - base::SystemClock().Monotonic();
      const timespec limit = absl::ToTimespec(std::max(remaining, absl::ZeroDuration()));
      const int ready = ::ppoll(&wait, 1, &limit, nullptr);
      if (ready == 0) return ETIMEDOUT;
      if (ready > 0) break;
      if (errno != EINTR) return errno;
    }
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    if (error != 0) return error;
  }
  // The protocol is request and answer: waiting to fill a segment only delays.
  const int on = 1;
  if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) return errno;
  // A far end that vanished without a word is noticed even while reading.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0) return errno;
  connected = std::move(fd);
  return 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketStream>> SocketStream::Connect(const std::string& host,
                                                                    uint16_t port,
                                                                    absl::Duration timeout) {
  const absl::Duration deadline = DeadlineIn(timeout);
  const std::string address = SocketAddress(host, port);
  ASSIGN_OR_RETURN(base::UniqueFd wakeup, MakeWakeup());
  absl::StatusOr<std::vector<TcpEndpoint>> endpoints = LookUpHost(host, port, timeout);
  if (absl::IsDeadlineExceeded(endpoints.status())) {
    return MakeError(ErrorCode::kPortFailed, endpoints.status().message());
  }
  RETURN_IF_ERROR(endpoints.status());
  int error = EADDRNOTAVAIL;
  for (const TcpEndpoint& endpoint : *endpoints) {
    base::UniqueFd fd;
    error = ConnectTo(endpoint, deadline, fd);
    if (error == 0) {
      return std::unique_ptr<SocketStream>(
          new SocketStream(std::move(fd), std::move(wakeup), address));
    }
  }
  const std::string detail = absl::StrCat(address, ": ", std::strerror(error));
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      return MakeError(ErrorCode::kBoardNotFound, detail);
    case EACCES:
    case EPERM:
      return MakeError(ErrorCode::kPortPermission, detail);
    default:
      return MakeError(ErrorCode::kPortFailed, detail);
  }
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
