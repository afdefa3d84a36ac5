#include <algorithm>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/identity/board_report.h"
#include "daemon/pipeline/boot_listener.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using identity::BootWatcher;

identity::ExpectedBoard Expected(const DeploymentContext& context) {
  return {.mac = context.row.mac,
          .customer_id = context.row.customer_id,
          .wifi_ssid = context.row.wifi_ssid,
          .deployment = context.row.id};
}

absl::Status Check(DeploymentContext& context, const identity::BoardReport& report) {
  absl::Status status = CheckBoardReport(report, Expected(context));
  context.shared.parts.metrics->IdentityChecked(status.ok());
  return status;
}

absl::Status Swapped(const DeploymentContext& context, const std::string& mac) {
  return errors::MakeError(
      ErrorCode::kBoardSwapped,
      absl::StrCat("this deployment belongs to ", context.row.mac, ", the board that came back at ",
                   context.port, " says it is ", mac));
}

// Whether the clean start that was just seen is this board's: it had left the bus, and another
// product may have come in its place. OK when it has said so. Otherwise the loader is asked, once,
// and the board boots again: unless two boards were swapped twice, the start that was seen before
// is that of the board which is identified after it.
absl::Status CheckStarter(DeploymentContext& context) {
  using Starter = DeploymentContext::Starter;
  if (context.watcher->state() == BootWatcher::State::kReported) {
    const std::string& mac = context.watcher->report().mac_address;
    return mac == context.row.mac ? absl::OkStatus() : Swapped(context, mac);
  }
  if (context.returned_by_name || context.starter == Starter::kIdentified) return absl::OkStatus();
  context.starter = Starter::kAskedFor;
  context.connect_again = true;
  return errors::MakeError(ErrorCode::kBoardUnplugged,
                           "a board came back and started, but did not say which it is");
}

absl::Status ConfirmBySerial(DeploymentContext& context) {
  const PipelineOptions& options = context.shared.options;
  const bool leaves_bus = context.session.stream().traits().kind == ports::LinkKind::kUsbOtg;
  const auto listen = leaves_bus ? ListenAcrossReset : Listen;
  if (!options.confirm.serial) {
    RETURN_IF_ERROR(
        listen(context, std::min(options.confirm.clean_boot_window, options.timeouts.confirm)));
    const BootWatcher& watcher = *context.watcher;
    const bool clean = watcher.state() != BootWatcher::State::kBootLoop && !watcher.in_loader();
    if (!clean) return watcher.Outcome();
    // The network's answer says who it is, too.
    return leaves_bus && !options.confirm.http ? CheckStarter(context) : absl::OkStatus();
  }
  RETURN_IF_ERROR(listen(context, options.timeouts.confirm));
  RETURN_IF_ERROR(context.watcher->Outcome());
  const identity::BoardReport& report = context.watcher->report();
  if (leaves_bus && report.mac_address != context.row.mac) {
    // Opened without a look at its MAC: what came back may be another board.
    return Swapped(context, report.mac_address);
  }
  return Check(context, report);
}

absl::Status ConfirmByHttp(DeploymentContext& context) {
  const ConfirmOptions& options = context.shared.options.confirm;
  const std::string url = absl::StrCat("http://", options.ip, "/mac");
  absl::Status last = errors::MakeError(ErrorCode::kBoardNetworkUnreachable, "no try was allowed");
  for (int attempt = 1; attempt <= options.http_tries; ++attempt) {
    RETURN_IF_ERROR(context.stop.Check());
    const absl::StatusOr<std::string> body =
        context.shared.parts.http->Get(url, options.http_timeout);
    context.shared.parts.metrics->NetworkChecked(body.ok());
    if (body.ok()) {
      const absl::StatusOr<identity::BoardReport> report = identity::ParseMacAnswer(*body);
      // A clear answer of another board is final; an unclear one may come from a program that is
      // still starting.
      if (report.ok()) return Check(context, *report);
      last = report.status();
    } else {
      last = body.status();
    }
    if (attempt == options.http_tries) break;
    RETURN_IF_ERROR(WaitUnlessStopped(context.clock(), context.stop, attempt * absl::Seconds(1)));
  }
  return last;
}

}  // namespace

absl::Status RunBoot(DeploymentContext& context) {
  // Fresh for each reset; it must not miss the first line.
  context.watcher = std::make_unique<BootWatcher>();
  return context.session.flasher().Boot();
}

// The board itself says who it is.
absl::Status RunConfirm(DeploymentContext& context) {
  RETURN_IF_ERROR(ConfirmBySerial(context));
  context.session.Close();
  if (context.shared.options.confirm.http) {
    RETURN_IF_ERROR(ConfirmByHttp(context));
  }
  return absl::OkStatus();
}

}  // namespace kiln::pipeline
