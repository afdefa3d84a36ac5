// What clients ask of the scheduler: create, cancel, retry, the record.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "daemon/pipeline/deployment_record.h"
#include "daemon/pipeline/order.h"
#include "daemon/pipeline/scheduler_impl.h"
#include "daemon/pipeline/step.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using storage::DeploymentState;

bool IsEnded(DeploymentState state) {
  return state != DeploymentState::kPending && state != DeploymentState::kRunning;
}

absl::Status StateWrong(const storage::Deployment& row, absl::string_view wish) {
  constexpr absl::string_view kNames[] = {"?",      "PENDING",  "RUNNING",        "SUCCEEDED",
                                          "FAILED", "CANCELED", "NEEDS_ATTENTION"};
  return MakeError(ErrorCode::kDeploymentStateWrong,
                   absl::StrCat("deployment ", row.id, " is ", kNames[static_cast<int>(row.state)],
                                "; it cannot be ", wish));
}

// What a new attempt keeps of the ones before. A finished board is not touched again: when only its
// record is missing, only that is made, and it tells of the attempt that finished the board.
void PrepareRetry(storage::Deployment& row) {
  DeploymentDetails before;
  if (!before.ParseFromString(row.details)) before.Clear();
  DeploymentDetails details;
  if (IsBoardDone(before)) {
    details = before;
    details.set_recoveries(0);
    details.set_interrupted(false);
    PrepareReentry(details, Interruption::kRestart);
  } else {
    ResetSteps(details);
    details.set_created_sequence(before.created_sequence());
    details.set_ordered_port(before.ordered_port());
    details.set_bound(before.bound());
    details.set_half_written(before.half_written());
    row.start_time = absl::InfinitePast();
  }
  if (!details.bound()) {
    // The board that was refused is not the deployment's: another may come.
    row.mac.clear();
    row.chip.clear();
    row.flash_size_bytes = 0;
  }
  row.details = details.SerializeAsString();
}

}  // namespace

void SetCanceled(storage::Deployment& row, absl::Time now, absl::string_view detail) {
  row.state = DeploymentState::kCanceled;
  row.cancel_requested = true;
  row.error_code = std::string(errors::Lookup(ErrorCode::kCancelledByOperator).name);
  row.error_detail = std::string(detail);
  row.end_time = now;
  DeploymentDetails details;
  if (details.ParseFromString(row.details) && WasWritten(details)) {
    row.due_record = DueRecordOf(row, details);
  }
}

absl::StatusOr<storage::Deployment> SchedulerImpl::Create(const Order& order, bool validate_only) {
  if (!validate_only || !order.request_id.empty()) {
    RETURN_IF_ERROR(CheckRequestId(order.request_id));
  }
  if (!validate_only) {
    // A repeat is answered whatever has become of the station, the port or the bundle since.
    auto known = shared_.parts.ledger->FindDeploymentByRequest(order.request_id);
    if (known.ok()) {
      if (IsRepeatOf(order, *known, *shared_.parts.boards)) return known;
      return MakeError(ErrorCode::kRequestConflict,
                       absl::StrCat("request id ", order.request_id, " belongs to deployment ",
                                    known->id, ", which is another order"));
    }
    if (!absl::IsNotFound(known.status())) return known.status();
  }
  ASSIGN_OR_RETURN(const ResolvedOrder resolved,
                   ResolveOrder(order, *shared_.parts.bundles, *shared_.parts.boards));
  storage::Deployment row;
  row.request_id = order.request_id;
  row.request_digest = resolved.digest;
  row.organization = order.customer.organization;
  row.customer_id = order.customer.customer_id;
  row.application_name = order.customer.application_name;
  row.expiry_date = order.customer.expiry_date;
  row.bundle_id = resolved.bundle.id;
  row.requested_port = resolved.port;
  row.create_time = shared_.parts.clock->Now();
  DeploymentDetails details;
  ResetSteps(details);
  details.set_ordered_port(order.port);
  row.details = details.SerializeAsString();
  if (validate_only) {
    RETURN_IF_ERROR(CheckNewOrder(order, resolved, Today()));
    if (draining()) return MakeError(ErrorCode::kStationDraining, "the station is shutting down");
    return row;
  }
  RETURN_IF_ERROR(CheckNewOrder(order, resolved, Today()));
  row.id = base::RandomUuid(*shared_.parts.random);
  ASSIGN_OR_RETURN(const JobPtr job, Reserve(row.id));
  if (shared_.Failpoint("accept:enter")) {
    Remove(job);
    return absl::UnavailableError("halted");
  }
  auto outcome = journal_.Create(row);
  if (!outcome.ok() || outcome->repeated) {
    Remove(job);
    RETURN_IF_ERROR(outcome.status());
    return outcome->deployment;
  }
  if (shared_.Failpoint("accept:leave")) {
    Remove(job);
    return absl::UnavailableError("halted");
  }
  shared_.Log(false, "the deployment is accepted", row.id);
  Release(job, outcome->deployment);
  return outcome->deployment;
}

absl::StatusOr<storage::Deployment> SchedulerImpl::Cancel(const std::string& id) {
  ASSIGN_OR_RETURN(storage::Deployment present, shared_.parts.ledger->GetDeployment(id));
  if (present.state == DeploymentState::kCanceled) return present;
  if (IsEnded(present.state)) return StateWrong(present, "cancelled");

  JobPtr waiting;
  JobPtr running;
  {
    absl::MutexLock lock(&mutex_);
    for (const JobPtr& job : queue_) {
      if (job->id != id) continue;
      if (job->held) {
        // Its own transaction is under way; it is back in a moment.
        return MakeError(ErrorCode::kStationBusy,
                         absl::StrCat("deployment ", id, " is being changed by somebody else"));
      }
      job->held = true;  // no worker gets it from here on
      waiting = job;
    }
    for (const auto& [port, slot] : slots_) {
      if (waiting == nullptr && slot.job != nullptr && slot.job->id == id) running = slot.job;
    }
  }

  if (running != nullptr) {
    auto row = journal_.Change(id, [](storage::Deployment& change) -> absl::Status {
      if (IsEnded(change.state)) return StateWrong(change, "cancelled");
      change.cancel_requested = true;
      return absl::OkStatus();
    });
    if (errors::Is(row.status(), ErrorCode::kDeploymentStateWrong)) {
      // It ended meanwhile; by another request to cancel, that is what was asked for.
      ASSIGN_OR_RETURN(present, shared_.parts.ledger->GetDeployment(id));
      if (present.state == DeploymentState::kCanceled) return present;
    }
    RETURN_IF_ERROR(row.status());
    running->cancelled_by_operator = true;
    running->stop.Cancel("cancelled by the operator");
    bool waits_again = false;
    {
      absl::MutexLock lock(&mutex_);
      waits_again = std::find(queue_.begin(), queue_.end(), running) != queue_.end();
    }
    // Its run gave it back before it saw the request.
    if (waits_again) return Cancel(id);
    return row;
  }

  // It waits, or (when the scheduler has not started) nobody has it.
  const absl::Time now = shared_.parts.clock->Now();
  auto row = journal_.Change(id, [now](storage::Deployment& change) -> absl::Status {
    if (change.state != DeploymentState::kPending) return StateWrong(change, "cancelled");
    SetCanceled(change, now, "cancelled while it waited");
    return absl::OkStatus();
  });
  if (waiting != nullptr && row.ok()) Remove(waiting);
  if (waiting != nullptr && !row.ok()) {
    {
      absl::MutexLock lock(&mutex_);
      waiting->held = false;
    }
    FindWork();
  }
  if (row.ok()) {
    shared_.parts.metrics->DeploymentEnded("canceled", absl::ZeroDuration(), false);
    shared_.Log(false, "the deployment was cancelled while it waited", id);
    due_records_.WriteAll();
  }
  return row;
}

absl::StatusOr<storage::Deployment> SchedulerImpl::Retry(const std::string& id,
                                                         const std::string& request_id) {
  RETURN_IF_ERROR(CheckRequestId(request_id));
  ASSIGN_OR_RETURN(storage::Deployment present, shared_.parts.ledger->GetDeployment(id));
  if (present.last_retry_request_id == request_id) return present;
  ASSIGN_OR_RETURN(const JobPtr job, Reserve(id));
  storage::Deployment first_answer;
  absl::string_view ended_at;
  auto row = journal_.Change(id, [&](storage::Deployment& change) -> absl::Status {
    if (change.last_retry_request_id == request_id) {
      // Somebody with the same request was quicker.
      first_answer = change;
      return absl::AlreadyExistsError("the retry has begun");
    }
    if (change.state != DeploymentState::kFailed && change.state != DeploymentState::kCanceled &&
        change.state != DeploymentState::kNeedsAttention) {
      return StateWrong(change, "retried");
    }
    ended_at = NameOf(static_cast<v1::Step>(change.step));
    PrepareRetry(change);
    change.state = DeploymentState::kPending;
    change.step = v1::STEP_UNSPECIFIED;
    change.attempt += 1;
    change.last_retry_request_id = request_id;
    change.cancel_requested = false;
    change.progress_percent = 0;
    change.error_code.clear();
    change.error_detail.clear();
    change.record_path.clear();
    change.end_time = absl::InfinitePast();
    return absl::OkStatus();
  });
  if (!row.ok()) {
    Remove(job);
    if (!first_answer.id.empty()) return first_answer;
    return row.status();
  }
  shared_.parts.metrics->RetryStarted(ended_at);
  shared_.Log(false, "the deployment is tried again", id);
  Release(job, *row);
  return row;
}

absl::StatusOr<RecordFile> SchedulerImpl::RecordOf(const std::string& id) {
  ASSIGN_OR_RETURN(const storage::Deployment row, shared_.parts.ledger->GetDeployment(id));
  const bool success = row.state == DeploymentState::kSucceeded;
  if (!success && row.state != DeploymentState::kFailed &&
      row.state != DeploymentState::kCanceled) {
    return StateWrong(row, "told in a record yet");
  }
  std::string name = row.record_path.substr(row.record_path.rfind('/') + 1);
  if (success && !row.record_path.empty()) {
    auto file = shared_.parts.files->ReadFile(row.record_path, records::kMaxRecordBytes);
    if (file.ok()) return RecordFile{.name = std::move(name), .json = *std::move(file)};
  }
  DeploymentDetails details;
  if (!details.ParseFromString(row.details)) details.Clear();
  records::RecordData data = RecordDataOf(shared_, row, details);
  if (success) {
    data.outcome = records::Outcome::kSucceeded;
    data.deployed_at = absl::FromUnixMicros(details.deployed_at_us());
  } else {
    data.outcome = row.state == DeploymentState::kCanceled ? records::Outcome::kCanceled
                                                           : records::Outcome::kFailed;
    data.failure_code = row.error_code;
    data.failure_detail = row.error_detail;
    data.deployed_at = row.end_time;
    name = absl::StrCat("failed-", row.customer_id, "-", row.id, ".json");
  }
  return RecordFile{
      .name = std::move(name),
      .json = records::RecordToJson(data, shared_.options.time_zone, shared_.options.tool_version)};
}

}  // namespace kiln::pipeline
