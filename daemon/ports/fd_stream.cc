#include "daemon/ports/fd_stream.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// Shortest and longest pause between two looks at an output queue.
constexpr absl::Duration kMinDrainPause = absl::Microseconds(200);
constexpr absl::Duration kMaxDrainPause = absl::Milliseconds(5);

}  // namespace

FdStream::FdStream(base::UniqueFd fd, base::UniqueFd wakeup, std::string address)
    : fd_(std::move(fd)), wakeup_(std::move(wakeup)), address_(std::move(address)) {}

absl::StatusOr<base::UniqueFd> FdStream::MakeWakeup() {
  base::UniqueFd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.valid()) {
    return MakeError(ErrorCode::kPortFailed, absl::StrCat("eventfd: ", std::strerror(errno)));
  }
  return wakeup;
}

absl::StatusOr<size_t> FdStream::Read(absl::Span<uint8_t> buffer, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckAlive());
  if (buffer.empty()) return absl::InvalidArgumentError("the buffer is empty");
  const absl::Duration deadline = DeadlineIn(timeout);
  for (;;) {
    RETURN_IF_ERROR(Await(POLLIN, deadline));
    const ssize_t count = ::read(fd(), buffer.data(), buffer.size());
    if (count > 0) return static_cast<size_t>(count);
    if (count == 0) return Gone("hung up");
    if (errno != EAGAIN && errno != EINTR) return Failure("reading", errno);
  }
}

absl::Status FdStream::Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckAlive());
  const absl::Duration deadline = DeadlineIn(timeout);
  while (!bytes.empty()) {
    RETURN_IF_ERROR(Await(POLLOUT, deadline));
    const ssize_t count = ::write(fd(), bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (errno != EAGAIN && errno != EINTR) {
      return Failure("writing", errno);
    }
  }
  return absl::OkStatus();
}

void FdStream::Interrupt() {
  const uint64_t one = 1;
  // Fails only when 2^64 - 2 interrupts are pending, which is one as well.
  [[maybe_unused]] const ssize_t written = ::write(wakeup_.get(), &one, sizeof(one));
}

absl::Status FdStream::CheckAlive() const { return gone_; }

absl::Status FdStream::Await(short events, absl::Duration deadline) {
  RETURN_IF_ERROR(CheckAlive());
  for (;;) {
    pollfd waits[2] = {{.fd = wakeup_.get(), .events = POLLIN, .revents = 0},
                       {.fd = fd(), .events = events, .revents = 0}};
    const absl::Duration remaining =
        std::max(deadline - base::SystemClock().Monotonic(), absl::ZeroDuration());
    timespec limit = absl::ToTimespec(remaining);
    const bool forever = remaining == absl::InfiniteDuration();
    const int ready = ::ppoll(waits, 2, forever ? nullptr : &limit, nullptr);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return Failure("poll", errno);
    if (ready == 0) return absl::DeadlineExceededError(absl::StrCat(address_, ": timed out"));
    if (waits[0].revents != 0) {
      uint64_t count = 0;  // takes all pending interrupts: they count as one
      if (::read(wakeup_.get(), &count, sizeof(count)) == sizeof(count)) {
        return absl::CancelledError(absl::StrCat(address_, ": interrupted"));
      }
      continue;
    }
    if ((waits[1].revents & POLLIN & events) != 0) return absl::OkStatus();  // data comes first
    if ((waits[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return Gone("hung up");
    return absl::OkStatus();
  }
}

absl::Status FdStream::AwaitEmptyQueue(absl::Duration timeout, uint32_t bits_per_second) {
  RETURN_IF_ERROR(CheckAlive());
  const absl::Duration deadline = DeadlineIn(timeout);
  for (;;) {
    int queued = 0;
    if (::ioctl(fd(), TIOCOUTQ, &queued) != 0) return Failure("TIOCOUTQ", errno);
    const absl::Duration now = base::SystemClock().Monotonic();
    const absl::Duration sending = absl::Seconds(1) * queued * 10 / bits_per_second;
    const absl::Duration pause =
        queued == 0 ? absl::ZeroDuration() : std::clamp(sending, kMinDrainPause, kMaxDrainPause);
    // With an empty queue this still asks for interrupts and hang-ups.
    absl::Status waited = Await(0, std::min(now + pause, deadline));
    if (!absl::IsDeadlineExceeded(waited)) return waited;
    if (queued == 0) return absl::OkStatus();
    if (base::SystemClock().Monotonic() >= deadline) return waited;
  }
}

absl::Status FdStream::Failure(absl::string_view what, int error_number) {
  switch (error_number) {
    case EIO:    // a hung-up tty, or a USB adapter that was pulled
    case ENXIO:  // the same, by other drivers
    case ENODEV:
    case ESHUTDOWN:  // a request to a USB device that is just leaving
    case EPIPE:      // a closed socket
    case ECONNRESET:
    case ETIMEDOUT:  // TCP keep-alive or retransmission gave up
      return Gone(absl::StrCat(what, ": ", std::strerror(error_number)));
    default:
      return MakeError(ErrorCode::kPortFailed,
                       absl::StrCat(address_, ": ", what, ": ", std::strerror(error_number)));
  }
}

absl::Status FdStream::Gone(absl::string_view how) {
  gone_ = MakeError(ErrorCode::kBoardUnplugged, absl::StrCat(address_, ": ", how));
  return gone_;
}

absl::Duration DeadlineIn(absl::Duration timeout) {
  return base::SystemClock().Monotonic() + timeout;
}

}  // namespace kiln::ports
