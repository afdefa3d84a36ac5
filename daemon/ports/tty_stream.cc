#include "daemon/ports/tty_stream.h"

// The kernel's own header: the C library's <termios.h> has no termios2, and the
// two cannot be included together.
#include <asm/termbits.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/port_holder.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// How far from the asked rate an adapter's real one may be: a UART samples ten
// bits from one edge, so each side can be about 2.5 % off before the last bit
// is misread.
constexpr double kMaxBaudError = 0.03;

void SetRate(termios2& settings, uint32_t baud) {
  settings.c_cflag &= ~static_cast<tcflag_t>(CBAUD | (CBAUD << IBSHIFT));
  settings.c_cflag |= BOTHER | (BOTHER << IBSHIFT);
  settings.c_ispeed = baud;
  settings.c_ospeed = baud;
}

absl::Status OpenError(const std::string& path, int error_number) {
  const std::string detail = absl::StrCat(path, ": ", std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENXIO:
    case ENODEV:
    case EIO:  // hung up between two calls
      return MakeError(ErrorCode::kBoardNotFound, detail);
    case EACCES:
    case EPERM:
      return MakeError(ErrorCode::kPortPermission, detail);
    default:
      return MakeError(ErrorCode::kPortFailed, detail);
  }
}

absl::Status BusyError(const std::string& path) {
  return MakeError(ErrorCode::kPortBusy, DescribeUse(path, FindHolder(path)));
}

absl::Status NotATerminal(const std::string& path) {
  return MakeError(ErrorCode::kPortFailed, absl::StrCat(path, " is not a terminal device"));
}

}  // namespace

absl::StatusOr<base::UniqueFd> TtyStream::OpenLocked(const std::string& path) {
  // Looked at first: opening some kinds of file has effects.
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) return OpenError(path, errno);
  if (!S_ISCHR(found.st_mode)) return NotATerminal(path);
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return errno == EBUSY ? BusyError(path) : OpenError(path, errno);
  termios2 settings = {};
  if (::ioctl(fd.get(), TCGETS2, &settings) != 0) {
    return errno == ENOTTY ? NotATerminal(path) : OpenError(path, errno);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return OpenError(path, errno);
    fd.Reset();  // so that this process is not named as the holder for its attempt
    return BusyError(path);
  }
  return fd;
}

absl::Status TtyStream::MakeRaw(int fd, const std::string& path) {
  termios2 settings = {};
  if (::ioctl(fd, TCGETS2, &settings) != 0) return OpenError(path, errno);
  settings.c_iflag = IGNBRK;  // a board held in reset may look like a break
  settings.c_oflag = 0;
  settings.c_lflag = 0;
  // Without HUPCL: closing leaves DTR and RTS alone, so that it resets no board.
  settings.c_cflag = CS8 | CREAD | CLOCAL;
  settings.c_cc[VMIN] = 1;  // with 0, "nothing there" would look like a hang-up
  settings.c_cc[VTIME] = 0;
  SetRate(settings, kInitialBaud);
  if (::ioctl(fd, TCSETS2, &settings) != 0) return OpenError(path, errno);
  // What was received before is from another time.
  if (::ioctl(fd, TCFLSH, TCIOFLUSH) != 0) return OpenError(path, errno);
  return absl::OkStatus();
}

absl::Status TtyStream::Drain(absl::Duration timeout) {
  // Not tcdrain: it knows no deadline and would hang on a stuck adapter.
  return AwaitEmptyQueue(timeout, baud_);
}

absl::Status TtyStream::DiscardInput() {
  RETURN_IF_ERROR(CheckAlive());
  if (::ioctl(fd(), TCFLSH, TCIFLUSH) != 0) return Failure("TCFLSH", errno);
  return absl::OkStatus();
}

absl::Status TtyStream::SetBaudRate(uint32_t baud) {
  RETURN_IF_ERROR(CheckAlive());
  if (baud < kMinBaud || baud > kMaxBaud) {
    return MakeError(
        ErrorCode::kRequestInvalid,
        absl::StrCat("a rate of ", baud, " baud is outside ", kMinBaud, " to ", kMaxBaud));
  }
  termios2 settings = {};
  if (::ioctl(fd(), TCGETS2, &settings) != 0) return Failure("TCGETS2", errno);
  SetRate(settings, baud);
  if (::ioctl(fd(), TCSETS2, &settings) != 0) return Failure("TCSETS2", errno);
  // Drivers write back the rate they could make.
  if (::ioctl(fd(), TCGETS2, &settings) != 0) return Failure("TCGETS2", errno);
  const double made = settings.c_ospeed;
  if (made < baud * (1 - kMaxBaudError) || made > baud * (1 + kMaxBaudError)) {
    // Back to the rate before: nothing is changed by what cannot be done.
    SetRate(settings, baud_);
    if (::ioctl(fd(), TCSETS2, &settings) != 0) return Failure("TCSETS2", errno);
    return MakeError(ErrorCode::kBaudRateUnsupported,
                     absl::StrCat(address(), ": the adapter makes ", static_cast<uint32_t>(made),
                                  " baud where ", baud, " was asked for"));
  }
  baud_ = baud;
  return absl::OkStatus();
}

}  // namespace kiln::ports
