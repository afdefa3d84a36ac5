#ifndef KILN_DAEMON_PORTS_TTY_STREAM_H_
#define KILN_DAEMON_PORTS_TTY_STREAM_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/fd_stream.h"

namespace kiln::ports {

// A byte stream on a Linux terminal device: what a serial port and a
// pseudo-terminal share. Threads as ByteStream says.
class TtyStream : public FdStream {
 public:
  // Rates no adapter is known to exceed in either direction.
  static constexpr uint32_t kMinBaud = 110;
  static constexpr uint32_t kMaxBaud = 12'000'000;
  // The ROM loaders' first rate.
  static constexpr uint32_t kInitialBaud = 115200;

  absl::Status Drain(absl::Duration timeout) override;
  absl::Status DiscardInput() override;
  absl::Status SetBaudRate(uint32_t baud) override;

 protected:
  using FdStream::FdStream;

  // Opens the terminal at `path` without becoming its process's terminal and
  // locks it against every other program that locks; changes nothing yet.
  // BoardNotFound, PortBusy, PortPermission, PortFailed.
  static absl::StatusOr<base::UniqueFd> OpenLocked(const std::string& path);
  // Makes the open terminal raw: 8N1 at kInitialBaud, no flow control, modem
  // lines left alone on closing; throws away what is in its queues. `path` is
  // for error texts.
  static absl::Status MakeRaw(int fd, const std::string& path);

 private:
  uint32_t baud_ = kInitialBaud;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_TTY_STREAM_H_
