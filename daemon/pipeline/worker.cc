#include "daemon/pipeline/worker.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/safe_text.h"
#include "daemon/pipeline/due_records.h"
#include "daemon/pipeline/messages.h"
#include "daemon/pipeline/step.h"
#include "daemon/pipeline/step_runner.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using storage::DeploymentState;

// Between tries to write to a ledger that does not take it.
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMaxBackoff = absl::Seconds(5);
// For letting a board go at the end.
constexpr absl::Duration kResetLimit = absl::Seconds(5);

// What may be kept of a detail that quotes a board: no password, only text.
void MakeSafe(storage::Deployment& row) {
  if (!row.wifi_password.empty()) {
    row.error_detail = absl::StrReplaceAll(row.error_detail, {{row.wifi_password, "[redacted]"}});
  }
  row.error_detail = base::SafeText(row.error_detail, kMaxDetailBytes);
}

// Whether the ledger may take the same row later.
bool MayPass(const absl::Status& status) {
  return errors::Is(status, errors::ErrorCode::kLedgerWriteFailed) ||
         errors::Is(status, errors::ErrorCode::kDiskFull);
}

absl::Duration SinceStart(const DeploymentContext& context) {
  if (context.row.start_time == absl::InfinitePast()) return absl::ZeroDuration();
  return std::max(absl::ZeroDuration(), context.row.end_time - context.row.start_time);
}

}  // namespace

Worker::Worker(const PipelineShared& shared, const std::string& port,
               const base::Cancellation& drain, std::function<void()> verified,
               std::function<void()> idle)
    : shared_(shared),
      port_(port),
      drain_(drain),
      verified_(std::move(verified)),
      idle_(std::move(idle)),
      thread_([this] { Loop(); }) {}

Worker::~Worker() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void Worker::Give(std::shared_ptr<Job> job) {
  absl::MutexLock lock(&mutex_);
  job_ = std::move(job);
}

void Worker::Loop() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this] {
        mutex_.AssertHeld();
        return stop_ || job_ != nullptr;
      };
      mutex_.Await(absl::Condition(&wanted));
      if (job_ == nullptr) return;
      job = std::move(job_);
      job_ = nullptr;
    }
    Run(*job);
    job = nullptr;
    idle_();
  }
}

void Worker::Run(Job& job) {
  absl::Duration backoff = kFirstBackoff;
  for (;;) {
    DeploymentContext context(shared_, job.row, port_, job.stop);
    context.there_since_before = job.there_since_before;
    context.verified = verified_;
    context.Log(false, "the deployment runs");
    const RunOutcome outcome = RunSteps(context);
    job.seen_arrival = std::max(job.seen_arrival, context.session.arrival());
    if (outcome.end == RunEnd::kHalted) return;
    if (outcome.not_begun) {
      // Accepted and not begun: it waits here until the ledger works again, and keeps the port from
      // taking other work meanwhile.
      context.Log(true, absl::StrCat("the deployment cannot begin: ", outcome.status.message()));
      WaitUnlessStopped(*shared_.parts.clock, job.stop, backoff).IgnoreError();
      backoff = std::min(2 * backoff, kMaxBackoff);
      if (drain_.IsCancelled()) return;
      continue;
    }
    switch (outcome.end) {
      case RunEnd::kSucceeded:
        EndSucceeded(context);
        break;
      case RunEnd::kFailed:
        EndFailed(context, outcome.status, outcome.step, DeploymentState::kFailed);
        break;
      case RunEnd::kNeedsAttention:
        EndFailed(context, outcome.status, outcome.step, DeploymentState::kNeedsAttention);
        break;
      case RunEnd::kStopped:
        if (job.cancelled_by_operator) {
          EndCanceled(context, outcome.step);
        } else {
          EndInterrupted(context);
        }
        break;
      case RunEnd::kGivenBack:
        EndGivenBack(context, outcome.status, job);
        break;
      case RunEnd::kHalted:
        break;
    }
    return;
  }
}

bool Worker::Commit(DeploymentContext& context, bool record_due) {
  MakeSafe(context.row);
  bool replaced = false;
  absl::Duration backoff = kFirstBackoff;
  for (;;) {
    if (shared_.Failpoint("outcome:enter")) {
      context.halted = true;
      return false;
    }
    if (record_due) context.row.due_record = DueRecordOf(context.row, context.details);
    const absl::Status status = context.Save();
    if (status.ok()) return true;
    context.Log(true, absl::StrCat("the deployment's end cannot be stored: ", status.message()));
    if (!MayPass(status)) {
      if (replaced) return false;
      replaced = true;
      if (!context.row.error_code.empty()) {
        context.row.error_detail =
            absl::StrCat(NameOf(static_cast<v1::Step>(context.row.step)),
                         ": the ledger refused the details; see the station's log");
      }
      continue;
    }
    // A drain that finds the ledger down does not wait for it: the row says RUNNING, which is where
    // the next start takes it up.
    if (!WaitUnlessStopped(*shared_.parts.clock, drain_, backoff).ok()) return false;
    backoff = std::min(2 * backoff, kMaxBackoff);
  }
}

void Worker::EndSucceeded(DeploymentContext& context) {
  storage::Deployment& row = context.row;
  row.state = DeploymentState::kSucceeded;
  row.step = v1::STEP_DONE;
  row.error_code.clear();
  row.error_detail.clear();
  row.end_time = shared_.parts.clock->Now();
  if (!Commit(context)) return;
  shared_.parts.metrics->DeploymentEnded("succeeded", SinceStart(context), row.attempt == 1);
  context.Log(false, "the deployment succeeded");
}

void Worker::EndFailed(DeploymentContext& context, const absl::Status& status, v1::Step step,
                       DeploymentState state) {
  const errors::ErrorCode code = errors::CodeOf(status);
  const std::string left = LeaveBoard(context);
  storage::Deployment& row = context.row;
  row.state = state;
  row.step = step;
  row.error_code = std::string(errors::Lookup(code).name);
  row.error_detail = absl::StrCat(NameOf(step), ": ", std::string(status.message()),
                                  left.empty() ? "" : "; ", left);
  row.end_time = shared_.parts.clock->Now();
  // A refusal tells nothing of the board that its success has not told: it gets no record.
  const bool record_due = code != errors::ErrorCode::kBoardAlreadyMade;
  if (!Commit(context, record_due)) return;
  shared_.parts.metrics->DeploymentFailed(NameOf(step), errors::Lookup(code).error_class);
  shared_.parts.metrics->DeploymentEnded(
      state == DeploymentState::kFailed ? "failed" : "interrupted", SinceStart(context), false);
  context.Log(true,
              absl::StrCat("the deployment failed: ", row.error_code, ": ", row.error_detail));
}

void Worker::EndCanceled(DeploymentContext& context, v1::Step step) {
  const std::string left = LeaveBoard(context);
  storage::Deployment& row = context.row;
  row.state = DeploymentState::kCanceled;
  row.step = step;
  row.error_code = std::string(errors::Lookup(errors::ErrorCode::kCancelledByOperator).name);
  row.error_detail = absl::StrCat("cancelled at ", NameOf(step), left.empty() ? "" : "; ", left);
  row.end_time = shared_.parts.clock->Now();
  if (!Commit(context, WasWritten(context.details))) return;
  shared_.parts.metrics->DeploymentEnded("canceled", SinceStart(context), false);
  context.Log(false, row.error_detail);
}

void Worker::EndInterrupted(DeploymentContext& context) {
  storage::Deployment& row = context.row;
  // Not begun: it waits in the ledger as it did before.
  if (row.state != DeploymentState::kRunning) return;
  row.state = DeploymentState::kPending;
  context.details.set_interrupted(true);
  PrepareReentry(context.details, Interruption::kRestart);
  const absl::Status status = context.Save();
  context.Log(!status.ok(), status.ok()
                                ? "the station stops; the deployment goes on when it runs again"
                                : "the station stops; the ledger does not take it");
}

void Worker::EndGivenBack(DeploymentContext& context, const absl::Status& status, Job& job) {
  LeaveBoard(context);
  storage::Deployment& row = context.row;
  row.state = DeploymentState::kPending;
  row.step = v1::STEP_UNSPECIFIED;
  row.port.clear();
  row.start_time = absl::InfinitePast();
  ResetSteps(context.details);
  if (!Commit(context)) return;
  context.Log(false, absl::StrCat("the deployment waits for another board: ", status.message()));
  job.row = row;
  job.given_back = true;
}

std::string Worker::LeaveBoard(DeploymentContext& context) {
  if (!context.session.is_open()) return "";
  std::string left;
  if (context.details.half_written()) {
    // Not started: a program of which only a part is there does not run.
    left = "the board was left in its loader, partly written";
  } else {
    const Watchdog::Guard guard =
        shared_.watchdog.Arm(kResetLimit, [session = &context.session] { session->Interrupt(); });
    context.session.ResetBoard();
  }
  context.session.Close();
  return left;
}

}  // namespace kiln::pipeline
