#ifndef KILN_DAEMON_TELEMETRY_METRICS_H_
#define KILN_DAEMON_TELEMETRY_METRICS_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "errors/error.h"

namespace kiln::telemetry {

// What the parts report. Names of the Prometheus series are in metrics.cc; no label ever holds a
// customer, a MAC, a serial or an id. Thread-safe, never blocks for long.
class Metrics {
 public:
  virtual ~Metrics() = default;

  // `result`: succeeded, failed, canceled, interrupted. `first_pass`: ended well in its first
  // attempt.
  virtual void DeploymentEnded(absl::string_view result, absl::Duration elapsed,
                               bool first_pass) = 0;
  virtual void StepEnded(absl::string_view step, absl::Duration elapsed) = 0;
  virtual void DeploymentFailed(absl::string_view step, errors::ErrorClass error_class) = 0;
  virtual void SetDeploymentsQueued(int count) = 0;
  // +1 when a step begins, -1 when it ends.
  virtual void AddInProgress(absl::string_view step, int delta) = 0;
  virtual void RetryStarted() = 0;
  virtual void BytesFlashed(uint64_t bytes, double bytes_per_second) = 0;
  virtual void VerifyFailed() = 0;
  virtual void ConnectAttempt(bool ok) = 0;
  virtual void BoardEvent(absl::string_view action) = 0;  // arrived, left
  virtual void SetBoardsConnected(int count) = 0;
  virtual void IdentityChecked(bool matched) = 0;
  virtual void RecordExported(bool ok, absl::Duration elapsed) = 0;
  virtual void LedgerTransaction(absl::Duration elapsed, bool ok) = 0;
  virtual void SetHealthCheck(absl::string_view check, bool ok) = 0;
  virtual void SetEventSubscribers(int count) = 0;
  virtual void EventsDropped(int count) = 0;
  virtual void RpcHandled(absl::string_view method, absl::string_view code,
                          absl::Duration elapsed) = 0;
};

// Counts nothing; for tests and tools.
std::unique_ptr<Metrics> NullMetrics();

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_METRICS_H_
