#include "daemon/pipeline/scheduler.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/pipeline/order.h"
#include "daemon/pipeline/recovery.h"
#include "daemon/pipeline/scheduler_impl.h"
#include "daemon/pipeline/step.h"
#include "errors/error.h"

namespace kiln::pipeline {

using errors::ErrorCode;
using errors::MakeError;
using storage::DeploymentState;

// ---- The queue -------------------------------------------------------------------------------

absl::StatusOr<SchedulerImpl::JobPtr> SchedulerImpl::Reserve(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  if (draining_) return MakeError(ErrorCode::kStationDraining, "the station is shutting down");
  if (queue_.size() >= static_cast<size_t>(std::max(0, shared_.options.max_pending))) {
    return MakeError(ErrorCode::kStationBusy,
                     absl::StrCat(queue_.size(), " deployments wait already"));
  }
  auto job = std::make_shared<Job>(id, &drain_);
  queue_.push_back(job);
  return job;
}

void SchedulerImpl::Fill(Job& job, const storage::Deployment& row) const {
  job.row = row;
  job.port = !row.port.empty()                ? row.port
             : row.requested_port == kAnyPort ? ""
                                              : row.requested_port;
  const auto bundle = shared_.parts.bundles->Get(row.bundle_id);
  job.chip = bundle.ok() ? std::string(esp::TraitsOf(bundle->chip).name) : "";
  DeploymentDetails details;
  const bool parsed = details.ParseFromString(row.details);
  // Who tries it again means the board that is there.
  job.unused_boards_only = !row.batch_id.empty() && row.attempt == 1 && parsed && !details.bound();
  job.flashes = !parsed || !IsVerified(details);
  job.needs_board = true;
  if (parsed && !job.port.empty()) {
    job.needs_board =
        TraitsOf(NextStep(details)).needs_board || NextStep(details) == v1::STEP_PREPARE;
  }
}

void SchedulerImpl::Release(const JobPtr& job, const storage::Deployment& row) {
  // Filled before it can be seen; `held` keeps all others off its fields until then.
  Fill(*job, row);
  {
    absl::MutexLock lock(&mutex_);
    job->held = false;
  }
  FindWork();
}

void SchedulerImpl::Remove(const JobPtr& job) {
  int waiting = 0;
  {
    absl::MutexLock lock(&mutex_);
    queue_.remove(job);
    waiting = static_cast<int>(queue_.size());
  }
  shared_.parts.metrics->SetDeploymentsQueued(waiting);
}

std::optional<SchedulerImpl::Place> SchedulerImpl::PickPlace(
    const Job& job, const std::vector<boards::BoardInfo>& boards) {
  if (!job.needs_board) {
    // Whether its port is still known does not matter.
    const Slot& slot = slots_[job.port];
    if (!slot.idle()) return std::nullopt;
    return Place{.port = job.port, .arrival = slot.used_arrival};
  }
  for (const boards::BoardInfo& board : boards) {
    if (!job.port.empty() && board.port != job.port) continue;
    if (!board.present || !board.usable.ok()) continue;
    const Slot& slot = slots_[board.port];
    if (!slot.idle() || (job.flashes && !HasRoom(board, boards))) continue;
    if (job.unused_boards_only && board.arrival <= slot.used_arrival &&
        board.arrival != slot.allowed_arrival) {
      continue;
    }
    if (job.port.empty()) {
      if (slot.promised) continue;
      if (!board.chip.empty() && !job.chip.empty() && board.chip != job.chip) continue;
      if (slot.used_arrival == board.arrival && !shared_.options.any_takes_used_boards) continue;
    }
    return Place{.port = board.port, .arrival = board.arrival};
  }
  return std::nullopt;
}

bool SchedulerImpl::HasRoom(const boards::BoardInfo& board,
                            const std::vector<boards::BoardInfo>& boards) const {
  const PipelineOptions& options = shared_.options;
  if (options.max_running > 0) {
    const auto flashing = std::count_if(slots_.begin(), slots_.end(),
                                        [](const auto& entry) { return entry.second.flashing; });
    if (flashing >= options.max_running) return false;
  }
  if (options.max_running_per_hub <= 0 || !board.usb.has_value()) return true;
  const auto at_hub = std::count_if(boards.begin(), boards.end(), [&](const auto& other) {
    mutex_.AssertHeld();
    const auto slot = slots_.find(other.port);
    return other.usb.has_value() && other.usb->hub == board.usb->hub && slot != slots_.end() &&
           slot->second.flashing;
  });
  return at_hub < options.max_running_per_hub;
}

void SchedulerImpl::Dispatch() {
  const std::vector<boards::BoardInfo> boards = shared_.parts.boards->List();
  int waiting = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (!started_ || draining_ || closing_) return;
    for (auto it = queue_.begin(); it != queue_.end();) {
      const JobPtr job = *it;
      const std::optional<Place> place = job->held ? std::nullopt : PickPlace(*job, boards);
      if (!place.has_value()) {
        ++it;
        continue;
      }
      Slot& slot = slots_[place->port];
      if (slot.worker == nullptr) {
        const std::string port = place->port;
        slot.worker = std::make_unique<Worker>(
            shared_, port, drain_, [this, port] { OnVerified(port); },
            [this, port] { OnIdle(port); });
      }
      slot.job = job;
      slot.flashing = job->needs_board && job->flashes;
      slot.used_arrival = place->arrival;
      job->there_since_before = place->arrival <= slot.first_arrival;
      slot.worker->Give(job);
      it = queue_.erase(it);
    }
    waiting = static_cast<int>(queue_.size());
  }
  shared_.parts.metrics->SetDeploymentsQueued(waiting);
}

void SchedulerImpl::OnVerified(const std::string& port) {
  {
    absl::MutexLock lock(&mutex_);
    slots_[port].flashing = false;
  }
  const PipelineOptions& options = shared_.options;
  if (options.max_running > 0 || options.max_running_per_hub > 0) FindWork();
}

void SchedulerImpl::OnIdle(const std::string& port) {
  // Whatever the end was: what an earlier one could not write may find room now.
  due_records_.WriteAll();
  std::string cancelled;
  {
    absl::MutexLock lock(&mutex_);
    Slot& slot = slots_[port];
    // A board that came back during its deployment has been through it, too; one that was plugged
    // in after it has not.
    slot.used_arrival = std::max(slot.used_arrival, slot.job->seen_arrival);
    const JobPtr job = std::move(slot.job);
    slot.job = nullptr;
    slot.flashing = false;
    if (job->given_back) {
      // Its place is before those that came after it. This board is used now, so that it is not
      // asked again.
      job->given_back = false;
      job->port.clear();
      queue_.push_front(job);
      if (job->cancelled_by_operator) cancelled = job->id;
    }
  }
  if (!cancelled.empty()) Cancel(cancelled).status().IgnoreError();
  FindWork();
}

// ---- Start and stop --------------------------------------------------------------------------

absl::Status SchedulerImpl::Start() {
  ASSIGN_OR_RETURN(const std::vector<storage::Deployment> rows,
                   shared_.parts.ledger->FindDeploymentsNotEnded());
  // Interrupted ones first: their boards are half done. Both in the order of acceptance.
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (const storage::Deployment& row : rows) {
    const RecoveryAction action = DecideRecovery(row, shared_.options.restored).action;
    (action == RecoveryAction::kQueue ? second : first).push_back(row.id);
  }
  for (const std::vector<std::string>* ids : {&first, &second}) {
    for (const std::string& id : *ids) RETURN_IF_ERROR(Recover(id));
  }
  // After the recovery, which has given slots back.
  if (shared_.options.restored) {
    RETURN_IF_ERROR(PauseBatches());
  }
  if (!due_records_.WriteAll()) return absl::UnavailableError("halted");
  const std::vector<boards::BoardInfo> boards = shared_.parts.boards->List();
  {
    absl::MutexLock lock(&mutex_);
    for (const boards::BoardInfo& board : boards) {
      slots_[board.port].first_arrival = board.arrival + (board.present ? 0 : 1);
    }
    started_ = true;
  }
  FindWork();
  return absl::OkStatus();
}

absl::Status SchedulerImpl::Recover(const std::string& id) {
  RecoveryDecision decision;
  ASSIGN_OR_RETURN(storage::Deployment row, shared_.parts.ledger->GetDeployment(id));
  decision = DecideRecovery(row, shared_.options.restored);
  DeploymentDetails stored;
  if (!stored.ParseFromString(row.details)) stored.Clear();
  const absl::Time now = shared_.parts.clock->Now();
  switch (decision.action) {
    case RecoveryAction::kNothing:
      return absl::OkStatus();
    case RecoveryAction::kQueue:
      break;
    case RecoveryAction::kCancel:
      SetCanceled(row, now,
                  absl::StrCat("cancelled before the station stopped, at ",
                               NameOf(static_cast<v1::Step>(row.step))));
      RETURN_IF_ERROR(journal_.Save(row));
      shared_.parts.metrics->DeploymentEnded("canceled", absl::ZeroDuration(), false);
      return absl::OkStatus();
    case RecoveryAction::kNeedsAttention:
      row.state = DeploymentState::kNeedsAttention;
      row.error_code = std::string(errors::Lookup(ErrorCode::kOutcomeUnknown).name);
      row.error_detail =
          shared_.options.restored
              ? "it had not ended when the backup was made that this station was restored from, "
                "and may have gone on since"
              : absl::StrCat("the station was interrupted ", decision.details.recoveries(),
                             " times during this deployment, last at ",
                             NameOf(static_cast<v1::Step>(row.step)));
      row.end_time = now;
      row.due_record = DueRecordOf(row, stored);
      RETURN_IF_ERROR(journal_.Save(row));
      shared_.parts.metrics->DeploymentEnded("interrupted", absl::ZeroDuration(), false);
      return absl::OkStatus();
    case RecoveryAction::kResume:
      // Stored as waiting before anything is done, so that every restart counts and the port is
      // free for whoever has a board there.
      row.state = DeploymentState::kPending;
      row.details = decision.details.SerializeAsString();
      RETURN_IF_ERROR(journal_.Save(row));
      shared_.Log(false, "an interrupted deployment goes on", id,
                  {{"step", NameOf(decision.reenter)}});
      break;
  }
  auto job = std::make_shared<Job>(id, &drain_);
  Fill(*job, row);
  job->held = false;
  absl::MutexLock lock(&mutex_);
  queue_.push_back(std::move(job));
  return absl::OkStatus();
}

void SchedulerImpl::BeginDrain() {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
  }
  drain_.Cancel("the station is shutting down");
}

absl::Status SchedulerImpl::Drain(absl::Duration timeout) {
  BeginDrain();
  absl::MutexLock lock(&mutex_);
  const bool stopped = shared_.parts.clock->AwaitCondition(
      &mutex_,
      [this] {
        mutex_.AssertHeld();
        return std::all_of(slots_.begin(), slots_.end(),
                           [](const auto& entry) { return entry.second.idle(); });
      },
      timeout);
  if (stopped) return absl::OkStatus();
  return absl::DeadlineExceededError(
      "some ports still work; what they do continues after a restart");
}

void SchedulerImpl::Stop() {
  BeginDrain();
  // Whoever has not stopped at a safe point by now is interrupted where it is.
  watchdog_.ExpireAll();
  // A second caller returns when the first has joined them all.
  absl::MutexLock stop_lock(&stop_mutex_);
  std::vector<std::unique_ptr<Worker>> workers;
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    for (auto& [port, slot] : slots_) {
      if (slot.worker != nullptr) workers.push_back(std::move(slot.worker));
    }
  }
  // Outside the lock: a worker that ends its job takes it.
  workers.clear();
}

// ---- Ports -----------------------------------------------------------------------------------

absl::Status SchedulerImpl::WithIdlePort(const std::string& port,
                                         const std::function<absl::Status()>& use) {
  ASSIGN_OR_RETURN(const boards::BoardInfo board, shared_.parts.boards->Get(port));
  {
    absl::MutexLock lock(&mutex_);
    if (draining_) return MakeError(ErrorCode::kStationDraining, "the station is shutting down");
    Slot& slot = slots_[board.port];
    if (!slot.idle()) {
      return MakeError(ErrorCode::kBoardInUse,
                       absl::StrCat("port ", board.port, " is in use",
                                    slot.job != nullptr ? " by deployment " : "",
                                    slot.job != nullptr ? slot.job->id : ""));
    }
    slot.borrowed = true;
  }
  const absl::Status status = use();
  {
    absl::MutexLock lock(&mutex_);
    slots_[board.port].borrowed = false;
  }
  FindWork();
  return status;
}

std::string SchedulerImpl::RunningOn(const std::string& port) const {
  absl::MutexLock lock(&mutex_);
  const auto it = slots_.find(port);
  return it == slots_.end() || it->second.job == nullptr ? "" : it->second.job->id;
}

std::unique_ptr<Scheduler> CreateScheduler(const PipelineParts& parts,
                                           const PipelineOptions& options,
                                           const SchedulerSeams& seams) {
  return std::make_unique<SchedulerImpl>(parts, options, seams);
}

std::unique_ptr<Scheduler> Scheduler::Create(const PipelineParts& parts,
                                             const PipelineOptions& options) {
  return CreateScheduler(parts, options, {.make_flasher = esp::Flasher::Create});
}

}  // namespace kiln::pipeline
