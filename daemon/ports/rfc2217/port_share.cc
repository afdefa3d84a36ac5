#include "daemon/ports/rfc2217/port_share.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/share_session.h"
#include "daemon/ports/rfc2217/tcp_listener.h"
#include "daemon/ports/socket_stream.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

// How often the port is looked at while nobody is connected.
constexpr absl::Duration kLook = absl::Milliseconds(250);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// A last word for people with a terminal program, and for Kiln's own client.
void Dismiss(base::UniqueFd client, absl::string_view text) {
  const std::string line = absl::StrCat("kiln port share: ", text, "\r\n");
  ::send(client.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(client.get(), SHUT_WR);
  // Closing with bytes unread would take the text back.
  std::array<char, 4096> unread;
  while (::recv(client.get(), unread.data(), unread.size(), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace

PortShare::PortShare(StreamOpener& opener, ShareOptions options, base::UniqueFd stop)
    : opener_(opener),
      options_(std::move(options)),
      stop_(std::move(stop)),
      listener_(options_.host, options_.port) {}

absl::StatusOr<std::unique_ptr<PortShare>> PortShare::Create(StreamOpener& opener,
                                                             ShareOptions options) {
  base::UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) {
    return errors::MakeError(errors::ErrorCode::kPortFailed,
                             absl::StrCat("eventfd: ", std::strerror(errno)));
  }
  std::unique_ptr<PortShare> share(new PortShare(opener, std::move(options), std::move(stop)));
  RETURN_IF_ERROR(share->listener_.Listen());
  // Clients are welcome once it runs and a board is there.
  if (!opener.Present()) share->listener_.Close();
  return share;
}

std::string PortShare::address() const {
  const std::string socket = SocketAddress(options_.host, port());
  return absl::StrCat("rfc2217", absl::StripPrefix(socket, "socket"));
}

void PortShare::Run() {
  while (!stopped()) {
    base::UniqueFd client = AwaitClient();
    if (client.valid()) Serve(std::move(client));
  }
}

void PortShare::Stop() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof(one));
}

base::UniqueFd PortShare::AwaitClient() {
  bool told_absent = false;
  bool told_trouble = false;
  bool told_ready = false;
  while (!stopped()) {
    if (!opener_.Present()) {
      listener_.Close();
      told_ready = false;
      if (!told_absent) Tell(ShareEvent::kNoBoard, opener_.address());
      told_absent = true;
      Pause(kLook);
      continue;
    }
    told_absent = false;
    if (const absl::Status status = listener_.Listen(); !status.ok()) {
      // The port was somebody else's while the board was away.
      if (!told_trouble) Tell(ShareEvent::kTrouble, status.message());
      told_trouble = true;
      Pause(kLook);
      continue;
    }
    if (!told_ready) Tell(ShareEvent::kReady, address());
    told_ready = true;
    pollfd waits[] = {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                      {.fd = listener_.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(waits, std::size(waits), Milliseconds(kLook)) <= 0) continue;
    if (waits[0].revents != 0 || waits[1].revents == 0) continue;
    std::string peer;
    base::UniqueFd client = listener_.Accept(peer);
    if (!client.valid()) continue;
    Tell(ShareEvent::kClient, peer);
    return client;
  }
  return base::UniqueFd();
}

void PortShare::Serve(base::UniqueFd client) {
  absl::StatusOr<std::unique_ptr<ByteStream>> stream = opener_.Open();
  if (!stream.ok()) {
    Tell(ShareEvent::kTrouble, stream.status().message());
    Dismiss(std::move(client), stream.status().message());
    // A node that is there and does not open yet is not asked in a tight loop.
    Pause(kLook);
    return;
  }
  absl::Status end;
  {
    ShareSession session(std::move(client), **stream, options_.signature);
    end = session.Run(stop_.get(), listener_.fd(), [this] {
      std::string peer;
      base::UniqueFd other = listener_.Accept(peer);
      if (!other.valid()) return;
      Tell(ShareEvent::kTurnedAway, peer);
      Dismiss(std::move(other), "another client is connected");
    });
    // Whoever comes now is to find nobody rather than a board that is gone.
    if (errors::Is(end, errors::ErrorCode::kBoardUnplugged)) listener_.Close();
    stream->reset();
  }  // only now the client hears of the end
  Tell(ShareEvent::kParted, end.ok() ? "" : end.message());
}

void PortShare::Tell(ShareEvent event, absl::string_view detail) const {
  if (options_.on_event) options_.on_event(event, detail);
}

bool PortShare::stopped() const {
  pollfd wait = {.fd = stop_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, 0) > 0;
}

void PortShare::Pause(absl::Duration duration) const {
  pollfd wait = {.fd = stop_.get(), .events = POLLIN, .revents = 0};
  ::poll(&wait, 1, Milliseconds(duration));
}

}  // namespace kiln::ports
