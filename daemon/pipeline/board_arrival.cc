#include "daemon/pipeline/board_arrival.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;

// A port that has just appeared may not be ready to be opened: udev still sets its permissions, or
// another program looks at it. Tried this often, this far apart.
constexpr int kOpenTries = 5;
constexpr absl::Duration kOpenPause = absl::Milliseconds(300);
// How often the registry, which looks by itself, is asked.
constexpr absl::Duration kArrivalPause = absl::Milliseconds(50);

// A board that the system still shows this long after it failed has not left: hubs notice within
// 250 ms that one was pulled, and the registry has looked since.
constexpr absl::Duration kStayed = absl::Seconds(2);

bool MayPass(const absl::Status& status) {
  return errors::Is(status, ErrorCode::kPortBusy) ||
         errors::Is(status, ErrorCode::kPortPermission) ||
         errors::Is(status, ErrorCode::kPortFailed);
}

}  // namespace

absl::Status OpenSession(DeploymentContext& context) {
  boards::Registry& boards = *context.shared.parts.boards;
  ASSIGN_OR_RETURN(ports::StreamOpener* const opener, boards.OpenerOf(context.port));
  absl::Status status;
  for (int i = 0; i < kOpenTries; ++i) {
    if (i > 0) {
      RETURN_IF_ERROR(WaitUnlessStopped(context.clock(), context.stop, kOpenPause));
    }
    ASSIGN_OR_RETURN(const boards::BoardInfo board, boards.Get(context.port));
    status = context.session.Open(*opener, board.arrival, context.stop);
    if (status.ok() || !MayPass(status)) break;
  }
  return status;
}

absl::StatusOr<boards::BoardInfo> AwaitArrival(DeploymentContext& context, uint64_t before,
                                               absl::Duration limit) {
  boards::Registry& boards = *context.shared.parts.boards;
  base::Clock& clock = context.clock();
  const absl::Duration start = clock.Monotonic();
  boards.ScanNow();
  for (;;) {
    const absl::Duration waited = clock.Monotonic() - start;
    absl::StatusOr<boards::BoardInfo> board = boards.Get(context.port);
    if (board.ok() && board->present && board->usable.ok()) {
      if (board->arrival != before) return board;
      // The same arrival again: the registry has not seen the board leave yet, or it never did.
      const auto opener = boards.OpenerOf(context.port);
      if (waited >= kStayed && opener.ok() && (*opener)->Present()) return board;
    }
    if (waited >= limit) {
      return errors::MakeError(
          ErrorCode::kBoardUnplugged,
          absl::StrCat("no board came to ", context.port, " within ", absl::FormatDuration(limit)));
    }
    RETURN_IF_ERROR(WaitUnlessStopped(clock, context.stop, kArrivalPause));
  }
}

}  // namespace kiln::pipeline
