#ifndef KILN_DAEMON_TELEMETRY_HEALTH_H_
#define KILN_DAEMON_TELEMETRY_HEALTH_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/telemetry/metrics.h"
#include "kiln/v1/station.pb.h"

namespace kiln::telemetry {

// One named question about the station's condition.
struct HealthProbe {
  std::string name;  // "ledger", "export_folder", ...
  // A critical check that fails makes the station unhealthy, any other degraded.
  bool critical = false;
  // OK, or why not. `message` is one English sentence for the good case and may stay empty.
  std::function<absl::Status(std::string& message)> probe;
};

// The station's condition: runs the probes, at most once a second whoever asks, and tells
// `on_change` when an outcome differs from the one before. Thread-safe. Owned by main; asked by the
// API, the snapshot and the daemon's own tick.
class HealthMonitor {
 public:
  // `clock` and `metrics` must outlive the monitor.
  HealthMonitor(std::vector<HealthProbe> probes, base::Clock& clock, Metrics& metrics);

  // Called after each change of the level or of a check's outcome, and after the first evaluation,
  // on the thread that asked, without the monitor's lock. Set before the first Evaluate.
  void SetOnChange(std::function<void(const v1::Health&)> on_change);

  // The condition, at most a second old.
  v1::Health Evaluate();

 private:
  v1::Health RunProbes();

  const std::vector<HealthProbe> probes_;
  base::Clock& clock_;
  Metrics& metrics_;
  std::function<void(const v1::Health&)> on_change_;
  absl::Mutex mutex_;
  v1::Health last_ ABSL_GUARDED_BY(mutex_);
  absl::Duration evaluated_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_HEALTH_H_
