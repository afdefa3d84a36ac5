#include "daemon/ports/tcp_connect.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
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

// Keep-alive: seconds of silence before the first question, seconds between
// questions, questions. And how long what was sent may stay unacknowledged.
constexpr int kKeepAliveIdle = 5;
constexpr int kKeepAliveInterval = 2;
constexpr int kKeepAliveCount = 3;
constexpr int kUserTimeoutMs = 10'000;

// One attempt; the error number, or 0.
int ConnectTo(const TcpEndpoint& endpoint, absl::Duration deadline, base::UniqueFd& connected) {
  base::UniqueFd fd;
  int error = StartTcp(endpoint, fd);
  if (error != 0 && error != EINPROGRESS) return error;
  while (error == EINPROGRESS) {
    pollfd wait = {.fd = fd.get(), .events = POLLOUT, .revents = 0};
    const absl::Duration remaining = deadline - base::SystemClock().Monotonic();
    const timespec limit = absl::ToTimespec(std::max(remaining, absl::ZeroDuration()));
    const int ready = ::ppoll(&wait, 1, &limit, nullptr);
    if (ready == 0) return ETIMEDOUT;
    if (ready > 0) {
      error = FinishTcp(fd.get());
      if (error != 0) return error;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  error = PrepareTcp(fd.get());
  if (error == 0) connected = std::move(fd);
  return error;
}

}  // namespace

int StartTcp(const TcpEndpoint& endpoint, base::UniqueFd& fd) {
  fd.Reset(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
  if (::connect(fd.get(), address, endpoint.size) == 0) return 0;
  return errno == EINTR ? EINPROGRESS : errno;
}

int FinishTcp(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

int PrepareTcp(int fd) {
  struct Setting {
    int level;
    int name;
    int value;
  };
  constexpr Setting kSettings[] = {
      // The protocols are request and answer: waiting to fill a segment only
      // delays.
      {IPPROTO_TCP, TCP_NODELAY, 1},
      {SOL_SOCKET, SO_KEEPALIVE, 1},
      {IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdle},
      {IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveInterval},
      {IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveCount},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs},
  };
  for (const Setting& setting : kSettings) {
    if (::setsockopt(fd, setting.level, setting.name, &setting.value, sizeof(int)) != 0) {
      return errno;
    }
  }
  return 0;
}

absl::StatusOr<TcpConnection> ConnectTcp(const std::string& host, uint16_t port,
                                         const std::string& address, absl::Duration timeout) {
  const absl::Duration deadline = base::SystemClock().Monotonic() + timeout;
  absl::StatusOr<std::vector<TcpEndpoint>> endpoints = LookUpHost(host, port, timeout);
  if (absl::IsDeadlineExceeded(endpoints.status())) {
    return MakeError(ErrorCode::kPortFailed, endpoints.status().message());
  }
  RETURN_IF_ERROR(endpoints.status());
  int error = EADDRNOTAVAIL;
  for (const TcpEndpoint& endpoint : *endpoints) {
    TcpConnection connection;
    error = ConnectTo(endpoint, deadline, connection.fd);
    if (error == 0) {
      connection.endpoints = *std::move(endpoints);
      return connection;
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

}  // namespace kiln::ports
