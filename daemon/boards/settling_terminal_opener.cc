#include "daemon/boards/settling_terminal_opener.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/boards/settle_time.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::boards {

absl::StatusOr<std::unique_ptr<ports::ByteStream>> SettlingTerminalOpener::Open() {
  for (SettlePause pause;;) {
    absl::Status access = access_();
    if (access.ok()) return terminal_->Open();
    const absl::Duration left = settled_at_ - clock_.Monotonic();
    if (left <= absl::ZeroDuration()) return access;
    clock_.Sleep(pause.Next(left));
  }
}

}  // namespace kiln::boards
