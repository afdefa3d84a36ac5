#include "daemon/ports/pseudo_terminal.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

constexpr uint8_t kDtrBit = 0x01;
constexpr uint8_t kRtsBit = 0x02;
// UNIX98_PTY_SLAVE_MAJOR to its last: devices.txt of the Linux kernel.
constexpr unsigned kFirstSlaveMajor = 136;
constexpr unsigned kLastSlaveMajor = 143;

bool IsSlave(const struct stat& file) {
  return S_ISCHR(file.st_mode) && major(file.st_rdev) >= kFirstSlaveMajor &&
         major(file.st_rdev) <= kLastSlaveMajor;
}

// An invalid descriptor when there is no control socket at all.
absl::StatusOr<base::UniqueFd> ConnectControl(const std::string& path) {
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0 && errno == ENOENT) return base::UniqueFd();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return MakeError(ErrorCode::kPortFailed,
                     absl::StrCat(path, " is too long for a socket, which has at most ",
                                  sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  base::UniqueFd control(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!control.valid()) {
    return MakeError(ErrorCode::kPortFailed, absl::StrCat("socket: ", std::strerror(errno)));
  }
  if (::connect(control.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const std::string detail = absl::StrCat(path, ": ", std::strerror(errno));
    switch (errno) {
      case ENOENT:
      case ECONNREFUSED:  // the simulator is gone and left its socket behind
        return MakeError(ErrorCode::kBoardNotFound, detail);
      case EACCES:
      case EPERM:
        return MakeError(ErrorCode::kPortPermission, detail);
      case EAGAIN:  // its backlog is full: others are connecting
        return MakeError(ErrorCode::kPortBusy, detail);
      default:
        return MakeError(ErrorCode::kPortFailed, detail);
    }
  }
  return control;
}

}  // namespace

PseudoTerminal::PseudoTerminal(base::UniqueFd fd, base::UniqueFd wakeup, base::UniqueFd control,
                               std::string path, absl::Duration lines_timeout)
    : TtyStream(std::move(fd), std::move(wakeup), std::move(path)),
      lines_timeout_(lines_timeout),
      control_(std::move(control)) {}

absl::StatusOr<std::unique_ptr<PseudoTerminal>> PseudoTerminal::Open(const std::string& path,
                                                                     absl::Duration lines_timeout) {
  ASSIGN_OR_RETURN(base::UniqueFd wakeup, MakeWakeup());
  struct stat found = {};
  if (::stat(path.c_str(), &found) == 0 && !IsSlave(found)) {
    return MakeError(ErrorCode::kPortFailed, absl::StrCat(path, " is not a pseudo-terminal"));
  }
  // The lock comes first: a second opener must not touch the first one's lines.
  ASSIGN_OR_RETURN(base::UniqueFd fd, OpenLocked(path));
  ASSIGN_OR_RETURN(base::UniqueFd control, ConnectControl(path + ".ctl"));
  RETURN_IF_ERROR(MakeRaw(fd.get(), path));
  return std::unique_ptr<PseudoTerminal>(new PseudoTerminal(
      std::move(fd), std::move(wakeup), std::move(control), path, lines_timeout));
}

LinkTraits PseudoTerminal::traits() const {
  return {.kind = LinkKind::kPseudoTerminal,
          .has_modem_lines = control_.valid(),
          .has_baud_rate = true};
}

absl::Status PseudoTerminal::SetLines(bool dtr, bool rts) {
  RETURN_IF_ERROR(CheckAlive());
  if (!control_.valid()) {
    return MakeError(ErrorCode::kPortFailed,
                     absl::StrCat(address(), " has no control socket, so no modem lines"));
  }
  uint8_t answer = 0;
  // Late answers to earlier messages are not the answer to this one.
  while (::recv(control_.get(), &answer, 1, MSG_DONTWAIT) > 0) {
  }
  const uint8_t message = static_cast<uint8_t>((dtr ? kDtrBit : 0) | (rts ? kRtsBit : 0));
  if (::send(control_.get(), &message, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) {
    return Failure("sending the modem lines", errno);
  }
  const absl::Duration deadline = DeadlineIn(lines_timeout_);
  for (;;) {
    pollfd wait = {.fd = control_.get(), .events = POLLIN, .revents = 0};
    const absl::Duration remaining = deadline - base::SystemClock().Monotonic();
    const timespec limit = absl::ToTimespec(std::max(remaining, absl::ZeroDuration()));
    const int ready = ::ppoll(&wait, 1, &limit, nullptr);
    if (ready < 0 && errno != EINTR) return Failure("poll", errno);
    if (ready == 0) {
      return MakeError(ErrorCode::kPortFailed,
                       absl::StrCat(address(), ": the modem lines were not acknowledged within ",
                                    absl::FormatDuration(lines_timeout_)));
    }
    const ssize_t count = ::recv(control_.get(), &answer, 1, MSG_DONTWAIT);
    if (count == 0) return Gone("the control socket was closed");
    if (count < 0 && errno != EAGAIN && errno != EINTR) return Failure("recv", errno);
    if (count == 1 && answer == message) return absl::OkStatus();
  }
}

PseudoTerminalOpener::PseudoTerminalOpener(std::string path) : path_(std::move(path)) {}

absl::StatusOr<std::unique_ptr<ByteStream>> PseudoTerminalOpener::Open() {
  return PseudoTerminal::Open(path_);
}

std::string PseudoTerminalOpener::address() const { return absl::StrCat("pty://", path_); }

bool PseudoTerminalOpener::Present() {
  struct stat found = {};
  return ::stat(path_.c_str(), &found) == 0 && IsSlave(found);
}

std::string PseudoTerminalOpener::Instance() {
  // A new symlink for every plugging-in, even when it points to the same slave.
  struct stat link = {};
  if (::lstat(path_.c_str(), &link) != 0) return "";
  return absl::StrCat(link.st_dev, ":", link.st_ino, ":", link.st_ctim.tv_sec, ".",
                      link.st_ctim.tv_nsec);
}

}  // namespace kiln::ports
