#ifndef KILN_DAEMON_API_TESTING_FAKE_SCHEDULER_H_
#define KILN_DAEMON_API_TESTING_FAKE_SCHEDULER_H_

#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/pipeline/scheduler.h"
#include "storage/ledger.h"

namespace kiln::api::testing {

// A scheduler that keeps orders in a real ledger and never runs them. Thread-safe.
class FakeScheduler final : public pipeline::Scheduler {
 public:
  // `ledger` must outlive the scheduler.
  explicit FakeScheduler(storage::Ledger& ledger) : ledger_(ledger) {}

  // Moves a deployment on, as a worker would, with its event.
  storage::Deployment Move(const std::string& id, storage::DeploymentState state,
                           const std::string& wifi_password = "");
  // `port` is in use from now on.
  void SetBusy(const std::string& port);

  absl::Status Start() override { return absl::OkStatus(); }
  absl::Status Drain(absl::Duration timeout) override;
  absl::StatusOr<storage::Deployment> Create(const pipeline::Order& order,
                                             bool validate_only) override;
  absl::StatusOr<storage::Deployment> Cancel(const std::string& id) override;
  absl::StatusOr<storage::Deployment> Retry(const std::string& id,
                                            const std::string& request_id) override;
  // A record of its own making; only of deployments that have succeeded.
  absl::StatusOr<pipeline::RecordFile> RecordOf(const std::string& id) override;
  absl::Status WithIdlePort(const std::string& port,
                            const std::function<absl::Status()>& use) override;
  std::string RunningOn(const std::string& port) const override;
  void OnBoardChange(const boards::BoardInfo&) override {}
  bool draining() const override;

 private:
  storage::Ledger& ledger_;
  mutable absl::Mutex mutex_;
  std::string busy_port_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::api::testing

#endif  // KILN_DAEMON_API_TESTING_FAKE_SCHEDULER_H_
