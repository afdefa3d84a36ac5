#ifndef KILN_DAEMON_PORTS_PSEUDO_TERMINAL_H_
#define KILN_DAEMON_PORTS_PSEUDO_TERMINAL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/tty_stream.h"

namespace kiln::ports {

// A simulated board's pseudo-terminal: "pty:///run/kiln-sim/board1". PATH is a
// symlink to the slave. A pseudo-terminal has no modem lines of its own, so
// they travel on the SOCK_SEQPACKET socket PATH.ctl, if there is one: a message
// is one byte (bit 0: DTR asserted, bit 1: RTS asserted), and the same byte
// comes back once the board's reset circuit has seen it. The rate is set on the
// slave, where the master reads it. Threads as ByteStream says.
class PseudoTerminal final : public TtyStream {
 public:
  // How long SetLines waits for its answer.
  static constexpr absl::Duration kLinesTimeout = absl::Seconds(1);

  // Errors as StreamOpener::Open. The terminal is not touched when nobody
  // serves its control socket: its number may be somebody else's by now.
  static absl::StatusOr<std::unique_ptr<PseudoTerminal>> Open(
      const std::string& path, absl::Duration lines_timeout = kLinesTimeout);

  LinkTraits traits() const override;
  // PortFailed when the answer does not come in time.
  absl::Status SetLines(bool dtr, bool rts) override;

 private:
  PseudoTerminal(base::UniqueFd fd, base::UniqueFd wakeup, base::UniqueFd control, std::string path,
                 absl::Duration lines_timeout);

  const absl::Duration lines_timeout_;
  const base::UniqueFd control_;  // invalid without a control socket
};

// Opens one simulated board's pseudo-terminal. Thread-safe.
class PseudoTerminalOpener final : public StreamOpener {
 public:
  // `path` is absolute, without "pty://".
  explicit PseudoTerminalOpener(std::string path);

  absl::StatusOr<std::unique_ptr<ByteStream>> Open() override;
  std::string address() const override;
  bool Present() override;
  std::string Instance() override;

 private:
  const std::string path_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_PSEUDO_TERMINAL_H_
