#ifndef KILN_DAEMON_PIPELINE_PIPELINE_FIXTURE_H_
#define KILN_DAEMON_PIPELINE_PIPELINE_FIXTURE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/fake_file_system.h"
#include "daemon/boards/fake_registry.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/pipeline/create_scheduler.h"
#include "daemon/pipeline/scheduler.h"
#include "gtest/gtest.h"
#include "simulator/memory_stream.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// Real time, ten times as fast: threads meet as they do on a station, and waits end sooner.
class FastClock final : public base::Clock {
 public:
  absl::Time Now() const override { return base::SystemClock().Now(); }
  absl::Duration Monotonic() const override { return kFactor * base::SystemClock().Monotonic(); }
  void Sleep(absl::Duration duration) override { base::SystemClock().Sleep(duration / kFactor); }
  bool AwaitCondition(absl::Mutex* mutex, absl::FunctionRef<bool()> condition,
                      absl::Duration timeout) override {
    return base::SystemClock().AwaitCondition(mutex, condition, timeout / kFactor);
  }

 private:
  static constexpr int kFactor = 10;
};

// The real ledger with a switch that makes every write fail.
class SwitchedLedger final : public storage::Ledger {
 public:
  explicit SwitchedLedger(storage::Ledger& real) : real_(real) {}
  void FailWrites(bool fail) {
    absl::MutexLock lock(&mutex_);
    fail_ = fail;
  }
  // Makes the next write, and only that, fail with `status`.
  void RefuseNext(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    next_ = std::move(status);
  }
  int refused() const {
    absl::MutexLock lock(&mutex_);
    return refused_;
  }

  absl::StatusOr<CreateOutcome> CreateDeployment(const storage::Deployment& deployment,
                                                 storage::PayloadOf payload) override;
  absl::StatusOr<storage::Deployment> UpdateDeployment(const storage::Deployment& deployment,
                                                       int64_t expected_sequence,
                                                       storage::PayloadOf payload) override;
  absl::StatusOr<storage::EventRecord> AppendEvent(const storage::EventDraft& draft) override {
    return real_.AppendEvent(draft);
  }
  absl::StatusOr<storage::Deployment> GetDeployment(const std::string& id) override {
    return real_.GetDeployment(id);
  }
  absl::StatusOr<storage::Deployment> FindDeploymentByRequest(const std::string& id) override {
    return real_.FindDeploymentByRequest(id);
  }
  absl::StatusOr<std::vector<storage::Deployment>> ListDeployments(
      const storage::DeploymentQuery& query) override {
    return real_.ListDeployments(query);
  }
  absl::StatusOr<std::vector<storage::Deployment>> FindDeploymentsNotEnded() override {
    return real_.FindDeploymentsNotEnded();
  }
  absl::StatusOr<storage::StateCounts> CountByState() override { return real_.CountByState(); }
  absl::StatusOr<std::vector<storage::DueRecord>> FindDueRecords(int limit) override {
    return real_.FindDueRecords(limit);
  }
  absl::Status ForgetDueRecord(const std::string& id, int attempt) override;
  absl::StatusOr<storage::OutcomeCounts> CountOutcomes(absl::Time after,
                                                       absl::Time before) override {
    return real_.CountOutcomes(after, before);
  }
  absl::StatusOr<std::vector<storage::EventRecord>> ListEvents(
      const storage::EventQuery& query) override {
    return real_.ListEvents(query);
  }
  absl::StatusOr<int64_t> LastSequence() override { return real_.LastSequence(); }
  absl::StatusOr<int64_t> FirstSequence() override { return real_.FirstSequence(); }
  absl::StatusOr<BatchOutcome> CreateBatch(
      const storage::Batch& batch, const std::vector<storage::BatchCustomer>& customers) override {
    return real_.CreateBatch(batch, customers);
  }
  absl::StatusOr<storage::Batch> ChangeBatch(const std::string& id,
                                             storage::BatchChange change) override {
    return real_.ChangeBatch(id, change);
  }
  absl::StatusOr<storage::Batch> AllowBatchBoard(const std::string& id,
                                                 const std::string& mac) override {
    return real_.AllowBatchBoard(id, mac);
  }
  absl::StatusOr<storage::Batch> GetBatch(const std::string& id) override {
    return real_.GetBatch(id);
  }
  absl::StatusOr<storage::Batch> FindBatchByRequest(const std::string& request_id) override {
    return real_.FindBatchByRequest(request_id);
  }
  absl::StatusOr<std::vector<storage::Batch>> ListBatches(
      const storage::BatchQuery& query) override {
    return real_.ListBatches(query);
  }
  absl::StatusOr<std::vector<storage::Batch>> FindBatchesThatTakeBoards() override {
    return real_.FindBatchesThatTakeBoards();
  }
  absl::StatusOr<std::vector<storage::BatchSlot>> ListBatchSlots(const std::string& id,
                                                                 int after_slot,
                                                                 int limit) override {
    return real_.ListBatchSlots(id, after_slot, limit);
  }
  void SetBatchPayload(storage::BatchPayload payload) override {
    real_.SetBatchPayload(std::move(payload));
  }
  void SetCommitObserver(std::function<void(const storage::EventRecord&)> observer) override {
    real_.SetCommitObserver(std::move(observer));
  }
  absl::StatusOr<storage::VerifyResult> Verify() override { return real_.Verify(); }
  absl::Status CheckHealth() override { return real_.CheckHealth(); }
  int schema_version() const override { return real_.schema_version(); }

 private:
  absl::Status Refuse();

  storage::Ledger& real_;
  mutable absl::Mutex mutex_;
  bool fail_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status next_ ABSL_GUARDED_BY(mutex_);
  int refused_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Answers GET /mac as told.
class FakeHttp final : public HttpGetter {
 public:
  void Answer(std::vector<absl::StatusOr<std::string>> answers) {
    absl::MutexLock lock(&mutex_);
    answers_ = std::move(answers);
  }
  std::vector<std::string> asked() const {
    absl::MutexLock lock(&mutex_);
    return asked_;
  }
  // The answers in turn; the last one again and again.
  absl::StatusOr<std::string> Get(const std::string& url, absl::Duration timeout) override;

 private:
  mutable absl::Mutex mutex_;
  std::vector<absl::StatusOr<std::string>> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> asked_ ABSL_GUARDED_BY(mutex_);
};

// A station without an operating system below it: the real ledger (in a temporary folder), bundle
// store, engine and scheduler; simulated boards and a disk in memory.
class PipelineFixture : public ::testing::Test {
 protected:
  // Ten times as fast as real time.
  PipelineFixture();
  // `clock` must outlive the fixture.
  explicit PipelineFixture(base::Clock& clock);
  ~PipelineFixture() override;

  // Makes a scheduler and starts it. `Crash` throws it away as kill -9 would, once `CrashAt` has
  // fired; the disk, the ledger and the boards stay.
  void StartStation();
  void StopStation();
  // The daemon dies the `count`th time it comes to `point`.
  void CrashAt(const std::string& point, int count = 1);
  // Waits until it has.
  void AwaitCrash();
  // A fresh daemon on what the old one left.
  void Restart();
  // The same, but the daemon dies again when its start comes to `point`.
  void RestartAndCrashAt(const std::string& point);

  simulator::SimulatedOpener& PlugBoard(const std::string& port, uint8_t number,
                                        esp::Chip chip = esp::Chip::kEsp32C3);
  simulator::SimulatedOpener& BoardAt(const std::string& port) { return *boards_.at(port); }
  static std::string MacOf(uint8_t number);
  std::string Import(esp::Chip chip, uint64_t seed = 1, uint32_t application_size = 64 * 1024);

  Order MakeOrder(const std::string& port, const std::string& request_id = "");
  // Creates it and fails the test when that fails.
  storage::Deployment Deploy(const std::string& port);
  storage::Deployment Get(const std::string& id);
  // Waits until the deployment's row fulfils `condition`; fails the test after 30 s.
  storage::Deployment Await(const std::string& id,
                            const std::function<bool(const storage::Deployment&)>& condition);
  storage::Deployment AwaitState(const std::string& id, storage::DeploymentState state);
  // Waits until no deployment waits or runs.
  storage::Deployment AwaitEnd(const std::string& id);
  // Waits until the deployment has entered `step`.
  storage::Deployment AwaitStep(const std::string& id, v1::Step step);
  // Blocks the worker when it comes to `point`, until Resume.
  void HoldAt(const std::string& point);
  void AwaitHeld();
  void Resume();

  // The states that the deployment's events went through, without repeats.
  std::vector<storage::DeploymentState> History(const std::string& id);
  std::vector<std::string> Records(const std::string& folder = "/export");
  std::string RecordText(const std::string& path);

  base::Clock& clock_;
  std::string folder_;
  base::FakeFileSystem files_;
  std::unique_ptr<storage::Ledger> real_ledger_;
  std::unique_ptr<SwitchedLedger> ledger_;
  std::unique_ptr<firmware::BundleStore> bundles_;
  boards::FakeRegistry registry_;
  // What the next start of the station gets; another one is a restart that forgets ports.
  boards::Registry* known_boards_ = &registry_;
  std::map<std::string, std::unique_ptr<simulator::SimulatedOpener>> boards_;
  std::unique_ptr<telemetry::Metrics> metrics_ = telemetry::NullMetrics();
  FakeHttp http_;
  PipelineOptions options_;
  // What USB devices show as their serial numbers. Set before StartStation.
  std::function<std::string(const std::string&)> usb_mac_;
  // Called with each progress message on the worker's thread. Set before StartStation.
  std::function<void(const v1::Progress&)> on_progress_;
  std::string bundle_;
  std::unique_ptr<Scheduler> scheduler_;

  absl::Mutex mutex_;
  int64_t commits_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::Progress> progress_ ABSL_GUARDED_BY(mutex_);
  std::string crash_point_ ABSL_GUARDED_BY(mutex_);
  int crash_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool crashed_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> points_ ABSL_GUARDED_BY(mutex_);
  std::string hold_point_ ABSL_GUARDED_BY(mutex_);
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int requests_ = 0;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_PIPELINE_FIXTURE_H_
