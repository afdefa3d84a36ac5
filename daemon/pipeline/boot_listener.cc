#include "daemon/pipeline/boot_listener.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/boards/registry.h"
#include "daemon/identity/board_report.h"
#include "daemon/pipeline/board_arrival.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/adapters.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using State = identity::BootWatcher::State;

// How long one read waits: bounds how late a request to stop is seen.
constexpr absl::Duration kReadSlice = absl::Milliseconds(100);
// The watchdog that starts the program strikes after some 15 ms; the rest is for the host to see
// the device go.
constexpr absl::Duration kLeaveLimit = absl::Seconds(5);
// A program that has come back says something by then, or whoever is there is asked.
constexpr absl::Duration kFirstWords = absl::Seconds(2);
// So often may a sound program start over (a first start formats its storage). As for the resets of
// boards that can be heard meanwhile: identity::BootWatcher.
constexpr int kMaxReturns = 5;

bool IsGone(const absl::Status& status) {
  return errors::Is(status, ErrorCode::kBoardUnplugged) ||
         errors::Is(status, ErrorCode::kBoardNotFound);
}

absl::Status DidNotBoot(const std::string& why) {
  return MakeError(ErrorCode::kBoardDidNotBoot, why);
}

bool Undecided(const DeploymentContext& context) {
  return context.watcher->state() == State::kWaiting;
}

// A program may have kept the loader's ids: ESP-IDF's USB console does.
bool MayBeLoader(const boards::BoardInfo& board) {
  return !board.usb.has_value() ||
         ports::FindUsbAdapter(board.usb->vendor, board.usb->product) != nullptr;
}

// Whether the board that was just opened runs its program, as far as can be told without a reset.
absl::Status CheckReturned(DeploymentContext& context, const boards::BoardInfo& board) {
  const auto connect_again = [&context](const std::string& why) {
    context.connect_again = true;
    return MakeError(ErrorCode::kBoardUnplugged, why);
  };
  if (context.session.stream().traits().kind != ports::LinkKind::kUsbOtg) {
    return connect_again("another kind of board has come to the port");
  }
  if (!MayBeLoader(board)) return absl::OkStatus();
  RETURN_IF_ERROR(Listen(context, kFirstWords));
  if (!Undecided(context)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool in_loader, context.session.flasher().LoaderAnswers());
  if (!in_loader) return absl::OkStatus();
  if (++context.loader_returns > 1) {
    return DidNotBoot(
        "the board starts its loader instead of its program: is BOOT pressed, or "
        "GPIO0 low?");
  }
  return connect_again("the board came back in its loader");
}

// Waits until the board is back, and opens it. OK with the session closed: it is not, and need not.
absl::Status Reopen(DeploymentContext& context) {
  const PipelineOptions& options = context.shared.options;
  const absl::Duration end = context.clock().Monotonic() + options.replug_window;
  for (;;) {
    const uint64_t before = context.session.arrival();
    context.session.Close();
    const absl::Duration left = end - context.clock().Monotonic();
    const absl::StatusOr<boards::BoardInfo> board =
        AwaitArrival(context, before, std::max(left, absl::ZeroDuration()));
    if (IsGone(board.status())) {
      if (!options.confirm.serial && options.confirm.http) return absl::OkStatus();
      return DidNotBoot(
          absl::StrCat("the board left the bus to start its program and did not come back within ",
                       absl::FormatDuration(options.replug_window),
                       ": it was unplugged, or its program serves no USB"));
    }
    RETURN_IF_ERROR(board.status());
    const absl::Status opened = OpenSession(context);
    if (IsGone(opened)) continue;
    RETURN_IF_ERROR(opened);
    RETURN_IF_ERROR(CheckReturned(context, *board));
    // Before it is listened to: whoever comes in its place now takes the open port away.
    const auto& usb_mac = context.shared.parts.usb_mac;
    context.returned_by_name =
        usb_mac && board->usb.has_value() && usb_mac(board->usb->topology) == context.row.mac;
    return absl::OkStatus();
  }
}

}  // namespace

absl::Status Listen(DeploymentContext& context, absl::Duration limit) {
  const absl::Duration end = context.clock().Monotonic() + limit;
  std::array<uint8_t, 4096> buffer;
  while (Undecided(context)) {
    RETURN_IF_ERROR(context.stop.Check());
    const absl::Duration left = end - context.clock().Monotonic();
    if (left <= absl::ZeroDuration()) break;
    const absl::StatusOr<size_t> count =
        context.session.stream().Read(absl::MakeSpan(buffer), std::min(left, kReadSlice));
    if (count.ok()) {
      context.watcher->Feed(absl::MakeConstSpan(buffer).first(*count));
    } else if (!absl::IsDeadlineExceeded(count.status())) {
      return count.status();
    }
  }
  return absl::OkStatus();
}

absl::Status ListenAcrossReset(DeploymentContext& context, absl::Duration limit) {
  const bool needs_report = context.shared.options.confirm.serial;
  base::Clock& clock = context.clock();
  absl::Duration left = limit;
  absl::Status status = Listen(context, needs_report ? left : kLeaveLimit);
  if (status.ok() && Undecided(context) && !needs_report) {
    return DidNotBoot(absl::StrCat("the board is still on the bus ",
                                   absl::FormatDuration(kLeaveLimit),
                                   " after its reset: it has not left its loader"));
  }
  for (int returns = 1; IsGone(status) && !context.connect_again; ++returns) {
    if (returns > kMaxReturns) {
      return DidNotBoot(absl::StrCat("the board has left the bus ", returns,
                                     " times: its program starts over and over"));
    }
    if (!needs_report && returns > 1) return status;
    status = Reopen(context);
    if (!status.ok()) continue;
    if (!context.session.is_open()) return absl::OkStatus();
    const absl::Duration start = clock.Monotonic();
    status = Listen(context, left);
    left -= clock.Monotonic() - start;
  }
  return status;
}

}  // namespace kiln::pipeline
