#include "simulator/pty_board.h"

// The kernel's own termios, for rates of any value; <termios.h> cannot be included beside it.
#include <asm/termbits.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/status_macros.h"

namespace kiln::simulator {
namespace {

constexpr uint8_t kDtrBit = 1;
constexpr uint8_t kRtsBit = 2;
constexpr absl::Duration kRetryFullTerminal = absl::Milliseconds(5);

absl::Status SystemError(absl::string_view what) {
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

PtyBoard::PtyBoard(const BoardConfig& config, std::string path, EventLoop& loop, base::Clock& clock)
    : path_(std::move(path)), loop_(loop), clock_(clock), board_(config, clock.Monotonic()) {
  board_.PowerOff();
}

PtyBoard::~PtyBoard() { Unplug(); }

absl::Status PtyBoard::Plug() {
  if (plugged()) return absl::OkStatus();
  absl::Status status = MakeTerminal();
  if (status.ok()) status = MakeControlSocket();
  if (!status.ok()) {
    Unplug();
    return status;
  }
  board_.PowerOn(clock_.Monotonic());
  // The link comes last: whoever sees it finds everything ready.
  char slave[64];
  if (::ptsname_r(master_.get(), slave, sizeof(slave)) != 0) return SystemError("ptsname_r");
  const std::string temporary = absl::StrCat(path_, ".new");
  std::error_code error;
  std::filesystem::remove(temporary, error);
  std::filesystem::create_symlink(slave, temporary, error);
  if (!error) std::filesystem::rename(temporary, path_, error);
  if (error) {
    Unplug();
    return absl::InternalError(absl::StrCat("cannot link ", path_, ": ", error.message()));
  }
  return absl::OkStatus();
}

absl::Status PtyBoard::MakeTerminal() {
  master_.Reset(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!master_.valid()) return SystemError("posix_openpt");
  char slave[64];
  if (::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0 ||
      ::ptsname_r(master_.get(), slave, sizeof(slave)) != 0) {
    return SystemError("preparing a pseudo-terminal");
  }
  // Opened and closed once, so that the master knows from now on whether anybody is there.
  base::UniqueFd once(::open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!once.valid()) return SystemError(slave);
  MakeRaw();
  once.Reset();
  // Edge-triggered: a terminal nobody has open reports its hang-up once, not for ever.
  const bool watched =
      loop_.Watch(master_.get(), EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLET, [this](uint32_t events) {
        ReadTerminal();
        if ((events & EPOLLHUP) != 0 && master_.valid() && !HostAttached()) MakeRaw();
      });
  return watched ? absl::OkStatus() : SystemError("epoll");
}

absl::Status PtyBoard::MakeControlSocket() {
  const std::string path = absl::StrCat(path_, ".ctl");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is too long for a socket's name"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  listener_.Reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener_.valid()) return SystemError("socket");
  ::unlink(path.c_str());
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), 8) != 0) {
    return SystemError(path);
  }
  return loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { AcceptControl(); })
             ? absl::OkStatus()
             : SystemError("epoll");
}

void PtyBoard::Unplug() {
  std::error_code error;
  if (master_.valid()) {
    std::filesystem::remove(path_, error);
    loop_.Unwatch(master_.get());
    master_.Reset();
  }
  if (listener_.valid()) {
    std::filesystem::remove(absl::StrCat(path_, ".ctl"), error);
    loop_.Unwatch(listener_.get());
    listener_.Reset();
  }
  for (const auto& [fd, connection] : connections_) loop_.Unwatch(fd);
  connections_.clear();
  unwritten_.clear();
  board_.PowerOff();
}

std::optional<absl::Duration> PtyBoard::Step() {
  if (!plugged()) return std::nullopt;
  board_.Advance(clock_.Monotonic());
  if (board_.TakeUnplugRequest()) {
    Unplug();
    return std::nullopt;
  }
  WriteTerminal();
  const std::optional<absl::Duration> next = board_.NextEvent();
  const absl::Duration now = clock_.Monotonic();
  if (!unwritten_.empty()) return kRetryFullTerminal;
  if (!next.has_value()) return std::nullopt;
  return std::max(*next - now, absl::ZeroDuration());
}

void PtyBoard::ReadTerminal() {
  uint8_t buffer[16 * 1024];
  while (master_.valid()) {
    const ssize_t size = ::read(master_.get(), buffer, sizeof(buffer));
    if (size <= 0) return;  // nothing there, or nobody
    if (awaits_first_byte_) first_byte_time_ = clock_.Now();
    awaits_first_byte_ = false;
    const uint32_t baud = HostBaudRate();
    // A host may set a new rate right after its last bytes, which a real adapter has sent by then:
    // what is the first to be seen at a new rate may still be of the old one.
    const bool old_rate_fits = host_baud_ == board_.board_baud_rate();
    board_.SetHostBaudRate(baud != host_baud_ && old_rate_fits ? host_baud_ : baud);
    board_.Receive(clock_.Monotonic(), absl::MakeConstSpan(buffer, static_cast<size_t>(size)));
    host_baud_ = baud;
    board_.SetHostBaudRate(baud);
    if (board_.TakeUnplugRequest()) return Unplug();
  }
}

void PtyBoard::WriteTerminal() {
  while (master_.valid()) {
    if (unwritten_.empty()) {
      host_baud_ = HostBaudRate();
      board_.SetHostBaudRate(host_baud_);
      unwritten_.resize(size_t{16} * 1024);
      unwritten_.resize(board_.TakeOutput(clock_.Monotonic(), absl::MakeSpan(unwritten_)));
      if (unwritten_.empty()) return;
    }
    if (!HostAttached()) {
      // What a board says to nobody is lost.
      unwritten_.clear();
      continue;
    }
    const ssize_t size = ::write(master_.get(), unwritten_.data(), unwritten_.size());
    if (size <= 0) return;  // full: tried again by Step
    unwritten_.erase(unwritten_.begin(), unwritten_.begin() + size);
  }
}

void PtyBoard::AcceptControl() {
  base::UniqueFd accepted(
      ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted.valid()) return;
  awaits_first_byte_ = true;
  const int fd = accepted.get();
  if (loop_.Watch(fd, EPOLLIN, [this, fd](uint32_t) { ReadControl(fd); })) {
    connections_[fd].fd = std::move(accepted);
  }
}

void PtyBoard::ReadControl(int fd) {
  while (true) {
    uint8_t message[16];
    const ssize_t size = ::recv(fd, message, sizeof(message), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return CloseControl(fd);
    if (size != 1) continue;
    // What was written before the lines changed arrives before.
    ReadTerminal();
    const auto found = connections_.find(fd);
    if (found == connections_.end()) return;  // unplugged meanwhile
    found->second.lines = message[0];
    board_.SetLines(clock_.Monotonic(), (message[0] & kDtrBit) != 0, (message[0] & kRtsBit) != 0);
    if (::send(fd, message, 1, MSG_NOSIGNAL) != 1) return CloseControl(fd);
  }
}

void PtyBoard::CloseControl(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  if (found->second.lines != 0) board_.SetLines(clock_.Monotonic(), false, false);
  loop_.Unwatch(fd);
  connections_.erase(found);
}

uint32_t PtyBoard::HostBaudRate() const {
  termios2 settings = {};
  if (::ioctl(master_.get(), TCGETS2, &settings) != 0) return 0;
  return settings.c_ospeed;
}

bool PtyBoard::HostAttached() const {
  pollfd poll = {.fd = master_.get(), .events = 0, .revents = 0};
  return ::poll(&poll, 1, 0) >= 0 && (poll.revents & POLLHUP) == 0;
}

void PtyBoard::MakeRaw() const {
  // Nothing of the line discipline between the host and the board, before the host says so itself.
  termios2 settings = {};
  if (::ioctl(master_.get(), TCGETS2, &settings) != 0) return;
  settings.c_iflag = 0;
  settings.c_oflag = 0;
  settings.c_lflag = 0;
  settings.c_cflag = CS8 | CREAD | CLOCAL | BOTHER;
  settings.c_ispeed = settings.c_ospeed = 115200;
  settings.c_cc[VMIN] = 1;
  settings.c_cc[VTIME] = 0;
  ::ioctl(master_.get(), TCSETS2, &settings);
}

}  // namespace kiln::simulator
