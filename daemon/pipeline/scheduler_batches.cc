// What the scheduler does for batches: a deployment for every board that one of them takes.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "daemon/pipeline/batches.h"
#include "daemon/pipeline/scheduler_impl.h"
#include "daemon/pipeline/step.h"
#include "errors/error.h"

namespace kiln::pipeline {

using errors::ErrorCode;

void SchedulerImpl::FindWork() {
  Dispatch();
  {
    absl::MutexLock lock(&mutex_);
    if (!started_ || draining_ || closing_) return;
    serve_again_ = true;
    // Whoever serves already looks once more before it stops.
    if (serving_batches_) return;
    serving_batches_ = true;
  }
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (!std::exchange(serve_again_, false) || draining_ || closing_) {
        serving_batches_ = false;
        return;
      }
    }
    ServeBatches();
  }
}

bool SchedulerImpl::IsFreeForBatch(const boards::BoardInfo& board,
                                   const std::vector<boards::BoardInfo>& boards,
                                   const std::vector<std::string>& allowed_macs) {
  if (!board.present || !board.usable.ok()) return false;
  const Slot& slot = slots_[board.port];
  if (!slot.idle() || slot.promised || !HasRoom(board, boards)) return false;
  if (board.arrival <= slot.used_arrival) {
    // One board, one deployment, until it is plugged in again; what an operator allows is done
    // once. An older arrival is an old picture of the port.
    const bool allowed =
        !board.mac.empty() && slot.allowed_arrival != board.arrival &&
        std::find(allowed_macs.begin(), allowed_macs.end(), board.mac) != allowed_macs.end();
    if (!allowed) return false;
  }
  return std::none_of(queue_.begin(), queue_.end(), [&board](const JobPtr& job) {
    return !job->held && job->port == board.port;
  });
}

void SchedulerImpl::ServeBatches() {
  std::vector<boards::BoardInfo> boards = shared_.parts.boards->List();
  // Where not all can begin, who came first is first: a port that is fed quickly keeps none
  // waiting.
  std::stable_sort(boards.begin(), boards.end(),
                   [](const boards::BoardInfo& a, const boards::BoardInfo& b) {
                     return a.change_time < b.change_time;
                   });
  const absl::StatusOr<std::vector<storage::Batch>> batches =
      shared_.parts.ledger->FindBatchesThatTakeBoards();
  if (!batches.ok()) {
    shared_.Log(true, absl::StrCat("batches cannot be read: ", batches.status().message()), "");
    return;
  }
  for (const storage::Batch& batch : *batches) ServeBatch(batch, boards);
}

absl::Status SchedulerImpl::PauseBatches() {
  ASSIGN_OR_RETURN(const std::vector<storage::Batch> batches,
                   shared_.parts.ledger->FindBatchesThatTakeBoards());
  for (const storage::Batch& batch : batches) {
    shared_.Log(true, "a batch is paused: boards may have been made since the backup", "",
                {{"batch", batch.id}});
    RETURN_IF_ERROR(
        shared_.parts.ledger->ChangeBatch(batch.id, storage::BatchChange::kPause).status());
  }
  return absl::OkStatus();
}

void SchedulerImpl::ServeBatch(const storage::Batch& batch,
                               const std::vector<boards::BoardInfo>& boards) {
  const auto bundle = shared_.parts.bundles->Get(batch.bundle_id);
  if (!bundle.ok() || bundle->retired) {
    // Shown as paused rather than silently idle; it cannot be resumed while this is so.
    shared_.Log(true, "a batch is paused: its firmware is gone or retired", "",
                {{"batch", batch.id}});
    shared_.parts.ledger->ChangeBatch(batch.id, storage::BatchChange::kPause)
        .status()
        .IgnoreError();
    return;
  }
  const std::string chip(esp::TraitsOf(bundle->chip).name);
  int free = batch.free_slots();
  for (const boards::BoardInfo& board : boards) {
    if (free <= 0) return;
    if (!TakesFrom(batch, shared_.options.batch_ports, board)) continue;
    if (!board.chip.empty() && board.chip != chip) continue;
    {
      absl::MutexLock lock(&mutex_);
      if (draining_ || closing_) return;
      if (!IsFreeForBatch(board, boards, batch.allowed_macs)) continue;
      Slot& slot = slots_[board.port];
      slot.promised = true;
      if (board.arrival <= slot.used_arrival) slot.allowed_arrival = board.arrival;
    }
    const bool goes_on = TakeBoard(batch, board);
    {
      absl::MutexLock lock(&mutex_);
      slots_[board.port].promised = false;
    }
    if (!goes_on) {
      // An order for any board may have passed this one by because it was promised.
      Dispatch();
      return;
    }
    --free;
  }
}

bool SchedulerImpl::TakeBoard(const storage::Batch& batch, const boards::BoardInfo& board) {
  storage::Deployment row;
  row.id = base::RandomUuid(*shared_.parts.random);
  row.request_id = base::RandomUuid(*shared_.parts.random);
  row.request_digest = absl::StrCat("batch ", batch.id);
  row.batch_id = batch.id;
  row.requested_port = board.port;
  row.create_time = shared_.parts.clock->Now();
  DeploymentDetails details;
  ResetSteps(details);
  details.set_ordered_port(board.port);
  row.details = details.SerializeAsString();

  const absl::StatusOr<JobPtr> job = Reserve(row.id);
  if (!job.ok()) return false;  // too much waits, or the station stops
  if (shared_.Failpoint("batch:enter")) {
    Remove(*job);
    return false;
  }
  const auto outcome = journal_.Create(row);
  if (!outcome.ok()) {
    Remove(*job);
    // Paused, ended or filled meanwhile is nothing to tell of.
    if (!errors::Is(outcome.status(), ErrorCode::kBatchStateWrong)) {
      shared_.Log(true, absl::StrCat("a board cannot be taken: ", outcome.status().message()), "",
                  {{"batch", batch.id}});
    }
    return false;
  }
  if (shared_.Failpoint("batch:leave")) {
    Remove(*job);
    return false;
  }
  shared_.Log(false, "a batch takes the board", row.id, {{"batch", batch.id}});
  Release(*job, outcome->deployment);
  return true;
}

}  // namespace kiln::pipeline
