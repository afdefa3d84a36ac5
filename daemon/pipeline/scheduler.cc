#include "daemon/pipeline/scheduler.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/status_macros.h"
#include "daemon/pipeline/create_scheduler.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/job.h"
#include "daemon/pipeline/order.h"
#include "daemon/pipeline/recovery.h"
#include "daemon/pipeline/step.h"
#include "daemon/pipeline/worker.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using storage::DeploymentState;

// Images that no deployment uses at the moment: a few firmwares' worth.
constexpr uint64_t kKeptImageBytes = uint64_t{16} << 20;

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

void SetCanceled(storage::Deployment& row, absl::Time now) {
  row.state = DeploymentState::kCanceled;
  row.cancel_requested = true;
  row.error_code = std::string(errors::Lookup(ErrorCode::kCancelledByOperator).name);
  row.error_detail = "cancelled while it waited";
  row.end_time = now;
}

class SchedulerImpl final : public Scheduler {
 public:
  SchedulerImpl(const PipelineParts& parts, const PipelineOptions& options,
                const SchedulerSeams& seams)
      : journal_(*parts.ledger, *parts.clock, *parts.metrics),
        images_(kKeptImageBytes),
        watchdog_(*parts.clock),
        own_records_(*parts.files, {.export_directory = options.export_directory,
                                    .time_zone = options.time_zone,
                                    .tool_version = options.tool_version}),
        shared_{.parts = parts,
                .options = options,
                .make_flasher = seams.make_flasher,
                .halt = seams.halt,
                .journal = journal_,
                .images = images_,
                .watchdog = watchdog_,
                .records = parts.records != nullptr ? *parts.records : own_records_} {}

  ~SchedulerImpl() override {
    BeginDrain();
    // Whoever has not stopped at a safe point by now is interrupted where it is.
    watchdog_.ExpireAll();
    std::map<std::string, Slot> slots;
    {
      absl::MutexLock lock(&mutex_);
      closing_ = true;
      for (auto& [port, slot] : slots_) slots[port].worker = std::move(slot.worker);
    }
    // Outside the lock: a worker that ends its job takes it.
    slots.clear();
  }

  absl::Status Start() override;
  absl::Status Drain(absl::Duration timeout) override;
  absl::StatusOr<storage::Deployment> Create(const Order& order, bool validate_only) override;
  absl::StatusOr<storage::Deployment> Cancel(const std::string& id) override;
  absl::StatusOr<storage::Deployment> Retry(const std::string& id,
                                            const std::string& request_id) override;
  absl::Status WithIdlePort(const std::string& port,
                            const std::function<absl::Status()>& use) override;
  std::string RunningOn(const std::string& port) const override;
  void OnBoardChange(const boards::BoardInfo&) override { Dispatch(); }
  bool draining() const override {
    absl::MutexLock lock(&mutex_);
    return draining_;
  }

 private:
  using JobPtr = std::shared_ptr<Job>;

  struct Slot {
    std::unique_ptr<Worker> worker;
    JobPtr job;
    bool borrowed = false;      // by WithIdlePort
    uint64_t used_arrival = 0;  // the arrival whose board has been through a deployment

    bool idle() const { return job == nullptr && !borrowed; }
  };

  // Gives waiting deployments to idle ports that have a board. Called whenever that may have become
  // possible; from any thread, without the lock.
  void Dispatch() ABSL_LOCKS_EXCLUDED(mutex_);
  // The port `job` can run on now, or null.
  const boards::BoardInfo* PickPort(const Job& job, const std::vector<boards::BoardInfo>& boards)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnIdle(const std::string& port) ABSL_LOCKS_EXCLUDED(mutex_);
  void BeginDrain() ABSL_LOCKS_EXCLUDED(mutex_);

  // A place in the queue for a deployment whose transaction is about to be made, so that nobody who
  // reads of it in the ledger can find it missing here. StationBusy, StationDraining.
  absl::StatusOr<JobPtr> Reserve(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes the reserved job ready to run.
  void Release(const JobPtr& job, const storage::Deployment& row) ABSL_LOCKS_EXCLUDED(mutex_);
  void Remove(const JobPtr& job) ABSL_LOCKS_EXCLUDED(mutex_);
  void Fill(Job& job, const storage::Deployment& row) const;
  absl::Status Recover(const std::string& id) ABSL_LOCKS_EXCLUDED(mutex_);
  std::string Today() const {
    return absl::FormatTime("%Y-%m-%d", shared_.parts.clock->Now(), shared_.options.time_zone);
  }

  Journal journal_;
  ImageCache images_;
  Watchdog watchdog_;
  records::RecordWriter own_records_;
  const PipelineShared shared_;
  base::Cancellation drain_;

  mutable absl::Mutex mutex_;
  std::list<JobPtr> queue_ ABSL_GUARDED_BY(mutex_);  // in the order of acceptance
  std::map<std::string, Slot> slots_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
};

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
  job.needs_board = true;
  if (details.ParseFromString(row.details) && details.interrupted() && !job.port.empty()) {
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
  Dispatch();
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

const boards::BoardInfo* SchedulerImpl::PickPort(const Job& job,
                                                 const std::vector<boards::BoardInfo>& boards) {
  for (const boards::BoardInfo& board : boards) {
    if (!job.port.empty() && board.port != job.port) continue;
    if (job.needs_board && (!board.present || !board.usable.ok())) continue;
    const Slot& slot = slots_[board.port];
    if (!slot.idle()) continue;
    if (job.port.empty()) {
      if (!board.chip.empty() && !job.chip.empty() && board.chip != job.chip) continue;
      if (slot.used_arrival == board.arrival && !shared_.options.any_takes_used_boards) continue;
    }
    return &board;
  }
  return nullptr;
}

void SchedulerImpl::Dispatch() {
  const std::vector<boards::BoardInfo> boards = shared_.parts.boards->List();
  int waiting = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (!started_ || draining_ || closing_) return;
    for (auto it = queue_.begin(); it != queue_.end();) {
      const JobPtr job = *it;
      const boards::BoardInfo* const board = job->held ? nullptr : PickPort(*job, boards);
      if (board == nullptr) {
        ++it;
        continue;
      }
      Slot& slot = slots_[board->port];
      if (slot.worker == nullptr) {
        const std::string port = board->port;
        slot.worker =
            std::make_unique<Worker>(shared_, port, drain_, [this, port] { OnIdle(port); });
      }
      slot.job = job;
      slot.used_arrival = board->arrival;
      slot.worker->Give(job);
      it = queue_.erase(it);
    }
    waiting = static_cast<int>(queue_.size());
  }
  shared_.parts.metrics->SetDeploymentsQueued(waiting);
}

void SchedulerImpl::OnIdle(const std::string& port) {
  const auto board = shared_.parts.boards->Get(port);
  {
    absl::MutexLock lock(&mutex_);
    Slot& slot = slots_[port];
    slot.job = nullptr;
    // A board that came back during its deployment has been through it, too.
    if (board.ok()) slot.used_arrival = std::max(slot.used_arrival, board->arrival);
  }
  Dispatch();
}

// ---- Start and stop --------------------------------------------------------------------------

absl::Status SchedulerImpl::Start() {
  ASSIGN_OR_RETURN(const std::vector<storage::Deployment> rows,
                   shared_.parts.ledger->FindDeploymentsNotEnded());
  // Interrupted ones first: their boards are half done. Both in the order of acceptance.
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (const storage::Deployment& row : rows) {
    const RecoveryAction action = DecideRecovery(row).action;
    (action == RecoveryAction::kQueue ? second : first).push_back(row.id);
  }
  for (const std::vector<std::string>* ids : {&first, &second}) {
    for (const std::string& id : *ids) RETURN_IF_ERROR(Recover(id));
  }
  {
    absl::MutexLock lock(&mutex_);
    started_ = true;
  }
  Dispatch();
  return absl::OkStatus();
}

absl::Status SchedulerImpl::Recover(const std::string& id) {
  RecoveryDecision decision;
  ASSIGN_OR_RETURN(storage::Deployment row, shared_.parts.ledger->GetDeployment(id));
  decision = DecideRecovery(row);
  const absl::Time now = shared_.parts.clock->Now();
  switch (decision.action) {
    case RecoveryAction::kNothing:
      return absl::OkStatus();
    case RecoveryAction::kQueue:
      break;
    case RecoveryAction::kCancel:
      SetCanceled(row, now);
      row.error_detail = absl::StrCat("cancelled before the station stopped, at ",
                                      NameOf(static_cast<v1::Step>(row.step)));
      RETURN_IF_ERROR(journal_.Save(row));
      shared_.parts.metrics->DeploymentEnded("canceled", absl::ZeroDuration(), false);
      return absl::OkStatus();
    case RecoveryAction::kNeedsAttention:
      row.state = DeploymentState::kNeedsAttention;
      row.error_code = std::string(errors::Lookup(ErrorCode::kOutcomeUnknown).name);
      row.error_detail = absl::StrCat("the station was interrupted ", decision.details.recoveries(),
                                      " times during this deployment, last at ",
                                      NameOf(static_cast<v1::Step>(row.step)));
      row.end_time = now;
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

// ---- Orders ----------------------------------------------------------------------------------

absl::StatusOr<storage::Deployment> SchedulerImpl::Create(const Order& order, bool validate_only) {
  if (!validate_only || !order.request_id.empty()) {
    RETURN_IF_ERROR(CheckRequestId(order.request_id));
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
  row.details = details.SerializeAsString();
  if (validate_only) {
    RETURN_IF_ERROR(CheckNewOrder(order, resolved, Today()));
    if (draining()) return MakeError(ErrorCode::kStationDraining, "the station is shutting down");
    return row;
  }
  // A repeat is answered whatever has become of the station or the bundle since.
  const auto known = shared_.parts.ledger->FindDeploymentByRequest(order.request_id);
  if (known.ok()) {
    if (known->request_digest == resolved.digest) return known;
    return MakeError(ErrorCode::kRequestConflict,
                     absl::StrCat("request id ", order.request_id, " belongs to deployment ",
                                  known->id, ", which is another order"));
  }
  if (!absl::IsNotFound(known.status())) return known.status();
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
    ASSIGN_OR_RETURN(storage::Deployment row,
                     journal_.Change(id, [](storage::Deployment& change) -> absl::Status {
                       if (IsEnded(change.state)) {
                         return change.state == DeploymentState::kCanceled
                                    ? absl::AlreadyExistsError("cancelled")
                                    : StateWrong(change, "cancelled");
                       }
                       change.cancel_requested = true;
                       return absl::OkStatus();
                     }));
    running->cancelled_by_operator = true;
    running->stop.Cancel("cancelled by the operator");
    return row;
  }

  // It waits, or (when the scheduler has not started) nobody has it.
  const absl::Time now = shared_.parts.clock->Now();
  auto row = journal_.Change(id, [now](storage::Deployment& change) -> absl::Status {
    if (change.state != DeploymentState::kPending) return StateWrong(change, "cancelled");
    SetCanceled(change, now);
    return absl::OkStatus();
  });
  if (waiting != nullptr && row.ok()) Remove(waiting);
  if (waiting != nullptr && !row.ok()) {
    {
      absl::MutexLock lock(&mutex_);
      waiting->held = false;
    }
    Dispatch();
  }
  if (row.ok()) {
    shared_.parts.metrics->DeploymentEnded("canceled", absl::ZeroDuration(), false);
    shared_.Log(false, "the deployment was cancelled while it waited", id);
  }
  return row;
}

absl::StatusOr<storage::Deployment> SchedulerImpl::Retry(const std::string& id,
                                                         const std::string& request_id) {
  RETURN_IF_ERROR(CheckRequestId(request_id));
  ASSIGN_OR_RETURN(const storage::Deployment present, shared_.parts.ledger->GetDeployment(id));
  if (present.last_retry_request_id == request_id) return present;
  ASSIGN_OR_RETURN(const JobPtr job, Reserve(id));
  storage::Deployment first_answer;
  const auto row = journal_.Change(id, [&](storage::Deployment& change) -> absl::Status {
    if (change.last_retry_request_id == request_id) {
      // Somebody with the same request was quicker.
      first_answer = change;
      return absl::AlreadyExistsError("the retry has begun");
    }
    if (change.state != DeploymentState::kFailed && change.state != DeploymentState::kCanceled &&
        change.state != DeploymentState::kNeedsAttention) {
      return StateWrong(change, "retried");
    }
    DeploymentDetails before;
    if (!before.ParseFromString(change.details)) before.Clear();
    DeploymentDetails details;
    ResetSteps(details);
    details.set_created_sequence(before.created_sequence());
    details.set_bound(before.bound());
    details.set_half_written(before.half_written());
    if (!before.bound()) {
      // The board that was refused is not the deployment's: another may come.
      change.mac.clear();
      change.chip.clear();
      change.flash_size_bytes = 0;
    }
    change.details = details.SerializeAsString();
    change.state = DeploymentState::kPending;
    change.step = v1::STEP_UNSPECIFIED;
    change.attempt += 1;
    change.last_retry_request_id = request_id;
    change.cancel_requested = false;
    change.progress_percent = 0;
    change.error_code.clear();
    change.error_detail.clear();
    change.record_path.clear();
    change.start_time = absl::InfinitePast();
    change.end_time = absl::InfinitePast();
    return absl::OkStatus();
  });
  if (!row.ok()) {
    Remove(job);
    if (!first_answer.id.empty()) return first_answer;
    return row.status();
  }
  shared_.parts.metrics->RetryStarted();
  shared_.Log(false, "the deployment is tried again", id);
  Release(job, *row);
  return row;
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
      return MakeError(ErrorCode::kStationBusy,
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
  Dispatch();
  return status;
}

std::string SchedulerImpl::RunningOn(const std::string& port) const {
  absl::MutexLock lock(&mutex_);
  const auto it = slots_.find(port);
  return it == slots_.end() || it->second.job == nullptr ? "" : it->second.job->id;
}

}  // namespace

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
