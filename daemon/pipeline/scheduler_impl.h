#ifndef KILN_DAEMON_PIPELINE_SCHEDULER_IMPL_H_
#define KILN_DAEMON_PIPELINE_SCHEDULER_IMPL_H_

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "daemon/pipeline/create_scheduler.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/due_records.h"
#include "daemon/pipeline/job.h"
#include "daemon/pipeline/worker.h"

namespace kiln::pipeline {

// Marks a deployment that waits, or that the daemon found after a stop, as cancelled; its record is
// due when its board was written to.
void SetCanceled(storage::Deployment& row, absl::Time now, absl::string_view detail);

// The scheduler as it is built: the queue of waiting deployments, a slot for each port, and one
// lock over both, which is never held while the ledger, the registry or a board is asked. Orders
// are in scheduler_orders.cc, batches in scheduler_batches.cc, everything else in scheduler.cc.
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
                .records = parts.records != nullptr ? *parts.records : own_records_},
        due_records_(shared_) {}

  ~SchedulerImpl() override { SchedulerImpl::Stop(); }

  absl::Status Start() override;
  absl::Status Drain(absl::Duration timeout) override;
  void Stop() override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<storage::Deployment> Create(const Order& order, bool validate_only) override;
  absl::StatusOr<storage::Deployment> Cancel(const std::string& id) override;
  absl::StatusOr<storage::Deployment> Retry(const std::string& id,
                                            const std::string& request_id) override;
  absl::StatusOr<RecordFile> RecordOf(const std::string& id) override;
  absl::Status WithIdlePort(const std::string& port,
                            const std::function<absl::Status()>& use) override;
  std::string RunningOn(const std::string& port) const override;
  void OnBoardChange(const boards::BoardInfo&) override { FindWork(); }
  void LookForWork() override { FindWork(); }
  bool draining() const override {
    absl::MutexLock lock(&mutex_);
    return draining_;
  }

 private:
  // Images that no deployment uses at the moment: a few firmwares' worth.
  static constexpr uint64_t kKeptImageBytes = uint64_t{16} << 20;

  using JobPtr = std::shared_ptr<Job>;

  struct Slot {
    std::unique_ptr<Worker> worker;
    JobPtr job;
    // The job holds one of the places that max_running and max_running_per_hub give.
    bool flashing = false;
    bool borrowed = false;      // by WithIdlePort
    uint64_t used_arrival = 0;  // the arrival whose board has been through a deployment
    // The first arrival of the daemon's time: its board may be at the port since before.
    uint64_t first_arrival = 1;
    // The arrival whose board was taken once more because its batch allows it.
    uint64_t allowed_arrival = 0;
    // A batch's deployment for this port is about to be stored: no order for any board takes it.
    bool promised = false;

    bool idle() const { return job == nullptr && !borrowed; }
  };

  // Dispatch, then whatever batches can take, until neither finds anything.
  void FindWork() ABSL_LOCKS_EXCLUDED(mutex_);
  // Gives waiting deployments to idle ports that have a board. Called whenever that may have become
  // possible; from any thread, without the lock.
  void Dispatch() ABSL_LOCKS_EXCLUDED(mutex_);
  struct Place {
    std::string port;
    uint64_t arrival;  // of the board there
  };
  // Where `job` can run now.
  std::optional<Place> PickPlace(const Job& job, const std::vector<boards::BoardInfo>& boards)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the limits on boards that are written to at once let another one begin at the port of
  // `board`.
  bool HasRoom(const boards::BoardInfo& board, const std::vector<boards::BoardInfo>& boards) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Makes a deployment for each free board that a batch takes.
  void ServeBatches() ABSL_LOCKS_EXCLUDED(mutex_);
  // For a restored ledger, which does not know the boards that were made since its backup: a batch
  // would make them again, and more than were ordered, until an operator has looked.
  absl::Status PauseBatches();
  void ServeBatch(const storage::Batch& batch, const std::vector<boards::BoardInfo>& boards)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether a batch may take this board; `allowed_macs` may be taken although they were used.
  bool IsFreeForBatch(const boards::BoardInfo& board, const std::vector<boards::BoardInfo>& boards,
                      const std::vector<std::string>& allowed_macs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Stores the deployment of `batch` for this board; false when the batch cannot take any more now.
  bool TakeBoard(const storage::Batch& batch, const boards::BoardInfo& board)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The job at `port` leaves its place to another one: its board only boots and confirms from here.
  void OnVerified(const std::string& port) ABSL_LOCKS_EXCLUDED(mutex_);
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
  DueRecords due_records_;
  base::Cancellation drain_;

  absl::Mutex stop_mutex_;  // held while the workers are joined; before mutex_
  mutable absl::Mutex mutex_;
  std::list<JobPtr> queue_ ABSL_GUARDED_BY(mutex_);  // in the order of acceptance
  std::map<std::string, Slot> slots_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  // A thread serves batches; another one's wish to do so makes it look once more.
  bool serving_batches_ ABSL_GUARDED_BY(mutex_) = false;
  bool serve_again_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_SCHEDULER_IMPL_H_
