#ifndef KILN_DAEMON_BOARDS_SETTLING_TERMINAL_OPENER_H_
#define KILN_DAEMON_BOARDS_SETTLING_TERMINAL_OPENER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::boards {

// Opens a terminal that is configured by its path, waiting for the permissions that udev sets after
// the kernel has made the file, until the board has settled. Made by the configured ports for the
// board they see. Thread-safe.
class SettlingTerminalOpener final : public ports::StreamOpener {
 public:
  // Whether this process may open the terminal: OK or PortPermission. Thread-safe.
  using Access = std::function<absl::Status()>;

  // `settled_at` is on the monotonic time of `clock`, which must outlive the opener.
  SettlingTerminalOpener(std::shared_ptr<ports::StreamOpener> terminal, Access access,
                         absl::Duration settled_at, base::Clock& clock)
      : terminal_(std::move(terminal)),
        access_(std::move(access)),
        settled_at_(settled_at),
        clock_(clock) {}

  absl::StatusOr<std::unique_ptr<ports::ByteStream>> Open() override;
  std::string address() const override { return terminal_->address(); }
  bool Present() override { return terminal_->Present(); }
  std::string Instance() override { return terminal_->Instance(); }

 private:
  const std::shared_ptr<ports::StreamOpener> terminal_;
  const Access access_;
  const absl::Duration settled_at_;
  base::Clock& clock_;
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_SETTLING_TERMINAL_OPENER_H_
