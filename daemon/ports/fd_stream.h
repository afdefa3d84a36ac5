#ifndef KILN_DAEMON_PORTS_FD_STREAM_H_
#define KILN_DAEMON_PORTS_FD_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::ports {

// What all byte streams on a file descriptor have in common: reading and
// writing with a deadline, being interrupted, and staying dead once the far end
// is gone. Threads as ByteStream says. The waits are the kernel's, so their
// deadlines are in real time.
class FdStream : public ByteStream {
 public:
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override;
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) override;
  void Interrupt() override;

 protected:
  // `fd` must be non-blocking and end-of-file must mean that the far end is
  // gone; `wakeup` is an eventfd (MakeWakeup). `address` is for error texts.
  FdStream(base::UniqueFd fd, base::UniqueFd wakeup, std::string address);

  static absl::StatusOr<base::UniqueFd> MakeWakeup();

  int fd() const { return fd_.get(); }
  const std::string& address() const { return address_; }

  // BoardUnplugged once the far end is gone, otherwise OK.
  absl::Status CheckAlive() const;
  // Waits until `fd` is ready for `events` (of poll; 0 waits for the deadline
  // or an interrupt alone). `deadline` is on the system's monotonic clock.
  // DEADLINE_EXCEEDED, CANCELLED, BoardUnplugged.
  absl::Status Await(short events, absl::Duration deadline);
  // Waits until nothing is left in the descriptor's output queue, which empties
  // at about `bits_per_second`. Errors as Await's.
  absl::Status AwaitEmptyQueue(absl::Duration timeout, uint32_t bits_per_second);
  // The error for a call on the descriptor that failed with `error_number`:
  // BoardUnplugged, for good, where that means so, otherwise PortFailed.
  absl::Status Failure(absl::string_view what, int error_number);
  // The far end is gone: every later call answers with this.
  absl::Status Gone(absl::string_view how);

 private:
  base::UniqueFd fd_;
  base::UniqueFd wakeup_;
  const std::string address_;
  absl::Status gone_;
};

// `timeout` from now, on the system's monotonic clock.
absl::Duration DeadlineIn(absl::Duration timeout);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_FD_STREAM_H_
