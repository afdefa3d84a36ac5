#ifndef KILN_DAEMON_PIPELINE_WORKER_H_
#define KILN_DAEMON_PIPELINE_WORKER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/cancellation.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/job.h"

namespace kiln::pipeline {

// The thread of one port: runs one deployment after the other as it is given them, and sees each to
// an end that is in the ledger. Owned by the scheduler, which gives it a job only when it has none.
class Worker {
 public:
  // `drain` ends waits that would otherwise go on until the ledger works again. Called on the
  // worker's thread: `verified` when nothing is written to the job's board any more, `idle` when a
  // job is over. Nothing is owned.
  Worker(const PipelineShared& shared, const std::string& port, const base::Cancellation& drain,
         std::function<void()> verified, std::function<void()> idle);
  // Waits for the job at hand.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Give(std::shared_ptr<Job> job);

 private:
  void Loop();
  void Run(Job& job);
  // Stores the end of a run, again and again until the ledger can write it; false when the station
  // drains before that: then the deployment is found interrupted at the next start. Its detail may
  // quote what a board said: made safe to keep and to show here, for all ends, and given up for a
  // fixed sentence when the ledger refuses it for what it holds. With `record_due`, the ledger
  // keeps in the same transaction what the attempt's record is made of.
  bool Commit(DeploymentContext& context, bool record_due = false);
  void EndSucceeded(DeploymentContext& context);
  void EndFailed(DeploymentContext& context, const absl::Status& status, v1::Step step,
                 storage::DeploymentState state);
  void EndCanceled(DeploymentContext& context, v1::Step step);
  void EndInterrupted(DeploymentContext& context);
  // Puts the deployment back to where it was before it had a board.
  void EndGivenBack(DeploymentContext& context, const absl::Status& status, Job& job);
  // Lets the board run its program when what it holds is whole; otherwise it stays in its loader.
  std::string LeaveBoard(DeploymentContext& context);

  const PipelineShared& shared_;
  const std::string port_;
  const base::Cancellation& drain_;
  const std::function<void()> verified_;
  const std::function<void()> idle_;

  absl::Mutex mutex_;
  std::shared_ptr<Job> job_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_WORKER_H_
