#include "daemon/ports/rfc2217/tcp_listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/tcp_connect.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

constexpr int kBacklog = 4;

uint16_t PortOf(const sockaddr_storage& address) {
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

absl::Status Failed(const std::string& host, uint16_t port, int error_number) {
  const std::string detail =
      absl::StrCat("listening on ", host, " port ", port, ": ", std::strerror(error_number));
  switch (error_number) {
    case EADDRINUSE:
      return MakeError(ErrorCode::kPortBusy, detail);
    case EACCES:
    case EPERM:
      return MakeError(ErrorCode::kPortPermission, detail);
    default:
      return MakeError(ErrorCode::kPortFailed, detail);
  }
}

}  // namespace

TcpListener::TcpListener(std::string host, uint16_t port) : host_(std::move(host)), port_(port) {}

absl::Status TcpListener::Listen() {
  if (fd_.valid()) return absl::OkStatus();
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host_.c_str(), absl::StrCat(port_).c_str(), &hints, &list) != 0) {
    return MakeError(ErrorCode::kRequestInvalid, absl::StrCat(host_, " is not an IP address"));
  }
  sockaddr_storage address = {};
  socklen_t size = list->ai_addrlen;
  std::memcpy(&address, list->ai_addr, size);
  ::freeaddrinfo(list);

  base::UniqueFd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Failed(host_, port_, errno);
  // Connections of before may still be parting.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd.get(), generic, size) != 0 || ::listen(fd.get(), kBacklog) != 0 ||
      ::getsockname(fd.get(), generic, &size) != 0) {
    return Failed(host_, port_, errno);
  }
  port_ = PortOf(address);
  fd_ = std::move(fd);
  return absl::OkStatus();
}

base::UniqueFd TcpListener::Accept(std::string& peer) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  base::UniqueFd client(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client.valid() || PrepareTcp(client.get()) != 0) return base::UniqueFd();
  std::array<char, NI_MAXHOST> name = {};
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, name.data(), name.size(), nullptr,
                    0, NI_NUMERICHOST) != 0) {
    name[0] = '\0';
  }
  peer = absl::StrCat(name.data(), " port ", PortOf(address));
  return client;
}

}  // namespace kiln::ports
