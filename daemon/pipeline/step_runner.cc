#include "daemon/pipeline/step_runner.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/boards/registry.h"
#include "daemon/pipeline/board_arrival.h"
#include "daemon/pipeline/step.h"
#include "errors/error.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using google::protobuf::util::TimeUtil;

using StepFunction = absl::Status (*)(DeploymentContext&);

StepFunction FunctionOf(v1::Step step) {
  switch (step) {
    case v1::STEP_PREPARE:
      return RunPrepare;
    case v1::STEP_CONNECT:
      return RunConnect;
    case v1::STEP_IDENTIFY:
      return RunIdentify;
    case v1::STEP_FLASH:
      return RunFlash;
    case v1::STEP_VERIFY:
      return RunVerify;
    case v1::STEP_BOOT:
      return RunBoot;
    case v1::STEP_CONFIRM:
      return RunConfirm;
    case v1::STEP_EXPORT:
      return RunExport;
    default:
      return nullptr;
  }
}

// The watchdog's patience. Confirm bounds its listening itself, to say what it heard; the return of
// a board that leaves the bus as it starts and the HTTP tries come on top.
absl::Duration DeadlineOf(const PipelineOptions& options, const StepTraits& traits) {
  absl::Duration deadline = options.timeouts.*traits.timeout;
  if (traits.step != v1::STEP_CONFIRM) return deadline;
  deadline += options.replug_window + absl::Seconds(10);
  if (options.confirm.http) {
    const int tries = options.confirm.http_tries;
    deadline += tries * options.confirm.http_timeout + tries * (tries + 1) / 2 * absl::Seconds(1);
  }
  return deadline;
}

bool IsUnplug(const absl::Status& status, v1::Step step) {
  return errors::Is(status, ErrorCode::kBoardUnplugged) ||
         (step == v1::STEP_CONNECT && errors::Is(status, ErrorCode::kBoardNotFound));
}

absl::Status TimedOut(const StepTraits& traits, absl::Duration deadline, absl::string_view detail) {
  return MakeError(ErrorCode::kStepTimedOut,
                   absl::StrCat(traits.name, " took longer than ", absl::FormatDuration(deadline),
                                ": ", detail));
}

// Whether nothing may stop the deployment any more: the board is finished, only its record is left.
bool IsPastCancel(v1::Step step) { return step == v1::STEP_EXPORT; }

class Runner {
 public:
  explicit Runner(DeploymentContext& context)
      : context_(context), max_replugs_(context.shared.options.max_replugs) {}

  RunOutcome Run() {
    v1::Step step = NextStep(context_.details);
    while (step != v1::STEP_DONE) {
      if (!IsPastCancel(step) && context_.stop.IsCancelled()) return Stopped(step);
      const bool begun = context_.row.state == storage::DeploymentState::kRunning;
      const absl::Status entered = Enter(step);
      if (!entered.ok()) {
        RunOutcome outcome = Failed(step, entered);
        outcome.not_begun = !begun;
        return outcome;
      }
      const std::string name(NameOf(step));
      if (context_.shared.Failpoint(name + ":enter")) return Halted(step);
      const absl::Status status = Execute(step);
      if (context_.halted || context_.shared.Failpoint(name + ":leave")) return Halted(step);
      if (status.ok()) {
        step = NextStep(context_.details);
        continue;
      }
      if (context_.stop.IsCancelled() && absl::IsCancelled(status)) return Stopped(step);
      if (context_.give_back && !context_.stop.IsCancelled()) {
        return {.end = RunEnd::kGivenBack, .status = status, .step = step};
      }
      if (IsUnplug(status, step) && (ConnectsAgain() || CameBack())) {
        step = PrepareReentry(context_.details, Interruption::kReplug);
        continue;
      }
      if (context_.stop.IsCancelled() && !IsPastCancel(step)) return Stopped(step);
      return Failed(step, status);
    }
    return {.end = RunEnd::kSucceeded, .step = v1::STEP_DONE};
  }

 private:
  // The entry, and what earlier steps found out, in one transaction.
  absl::Status Enter(v1::Step step) {
    storage::Deployment& row = context_.row;
    const absl::Time now = context_.clock().Now();
    if (row.state != storage::DeploymentState::kRunning) {
      row.state = storage::DeploymentState::kRunning;
      row.port = context_.port;
      if (row.start_time == absl::InfinitePast()) row.start_time = now;
      context_.details.set_interrupted(false);
    }
    row.step = step;
    v1::StepRecord& record = RecordOf(context_.details, step);
    record.set_state(v1::StepRecord::STATE_RUNNING);
    *record.mutable_start_time() = TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(now));
    record.clear_elapsed();
    if (step == v1::STEP_FLASH) context_.details.set_half_written(true);
    context_.progress.Enter(step);
    return context_.Save();
  }

  absl::Status Execute(v1::Step step) {
    const StepTraits& traits = TraitsOf(step);
    telemetry::Metrics& metrics = *context_.shared.parts.metrics;
    const absl::Duration deadline = DeadlineOf(context_.shared.options, traits);
    const absl::Duration start = context_.clock().Monotonic();
    if (step == v1::STEP_CONNECT) connect_start_ = start;
    metrics.AddInProgress(traits.name, 1);
    absl::Status status;
    {
      const Watchdog::Guard guard = context_.shared.watchdog.Arm(
          deadline, [session = &context_.session] { session->Interrupt(); });
      status = FunctionOf(step)(context_);
      // An interrupt shows as CANCELLED, or as whatever the loader makes of the silence after it.
      if (!status.ok() && guard.expired()) status = TimedOut(traits, deadline, status.message());
    }
    // Time ran out just as the step ended well: the board is not to be talked to in this session.
    if (status.ok() && traits.needs_board && context_.session.is_open() &&
        context_.session.interrupted()) {
      status = TimedOut(traits, deadline, "it was done too late");
    }
    const absl::Duration elapsed = context_.clock().Monotonic() - start;
    metrics.AddInProgress(traits.name, -1);
    metrics.StepEnded(traits.name, elapsed);
    v1::StepRecord& record = RecordOf(context_.details, step);
    record.set_state(status.ok() ? v1::StepRecord::STATE_FINISHED : v1::StepRecord::STATE_FAILED);
    *record.mutable_elapsed() =
        TimeUtil::MicrosecondsToDuration(absl::ToInt64Microseconds(elapsed));
    if (!status.ok()) return status;
    context_.progress.Leave();
    if (step == v1::STEP_IDENTIFY) {
      metrics.BoardIdentified(context_.clock().Monotonic() - connect_start_);
    }
    if (step == v1::STEP_VERIFY) {
      context_.details.set_half_written(false);
      if (context_.verified) context_.verified();
    }
    if (step == v1::STEP_CONFIRM) {
      context_.details.set_deployed_at_us(absl::ToUnixMicros(context_.clock().Now()));
    }
    return absl::OkStatus();
  }

  // Whether the step has found a board that is there, but has to be identified anew.
  bool ConnectsAgain() {
    if (!std::exchange(context_.connect_again, false)) return false;
    context_.session.Close();
    if (context_.starter == DeploymentContext::Starter::kAskedFor) {
      context_.Log(false, "the board that came back does not say which it is; its loader is asked");
      // No replug, and the reset into the loader takes the board from the bus, too.
      ++max_replugs_;
      return true;
    }
    return ++replugs_ <= max_replugs_;
  }

  // Waits for the board after it was unplugged; true when one is there again. Whether it is the
  // same one shows at identify.
  bool CameBack() {
    const uint64_t before = context_.session.arrival();
    context_.session.Close();
    // A station that goes away does not wait for boards, nor look for them: whoever hears of what
    // the look finds may be gone already.
    if (context_.stop.IsCancelled()) return false;
    if (replugs_ >= max_replugs_) return false;
    ++replugs_;
    context_.Log(true, "the board does not answer on the bus; waiting for it to come back");
    const absl::StatusOr<boards::BoardInfo> board =
        AwaitArrival(context_, before, context_.shared.options.replug_window);
    if (!board.ok()) return false;
    context_.Log(false, board->arrival == before ? "the board has not left the port; going on"
                                                 : "a board is back at the port");
    return true;
  }

  RunOutcome Failed(v1::Step step, const absl::Status& status) {
    // A swapped board says nothing about the deployment's own board, which may be half written.
    const bool swapped = errors::Is(status, ErrorCode::kBoardSwapped);
    return {
        .end = swapped ? RunEnd::kNeedsAttention : RunEnd::kFailed, .status = status, .step = step};
  }
  static RunOutcome Stopped(v1::Step step) { return {.end = RunEnd::kStopped, .step = step}; }
  RunOutcome Halted(v1::Step step) {
    context_.halted = true;
    return {.end = RunEnd::kHalted, .step = step};
  }

  DeploymentContext& context_;
  absl::Duration connect_start_;  // of the connect before the present step
  int replugs_ = 0;
  int max_replugs_;
};

}  // namespace

RunOutcome RunSteps(DeploymentContext& context) { return Runner(context).Run(); }

}  // namespace kiln::pipeline
