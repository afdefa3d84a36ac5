#ifndef KILN_DAEMON_TELEMETRY_HEALTH_H_
#define KILN_DAEMON_TELEMETRY_HEALTH_H_

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
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

// What a probe answers when its subject works, but less well: the station is then degraded, also
// when the check is critical.
absl::Status Degraded(absl::string_view message);

// The station's condition. A thread of its own runs the probes when somebody asks and the last
// result is a second old, so that a probe which hangs (a folder on a dead network mount) stops
// nobody: then its check fails. Thread-safe. Owned by main; asked by the API, the snapshot and the
// daemon's own tick.
class HealthMonitor {
 public:
  // `clock` and `metrics` must outlive the monitor.
  HealthMonitor(std::vector<HealthProbe> probes, base::Clock& clock, Metrics& metrics);
  // Waits for a probe that is under way.
  ~HealthMonitor();

  // Called after each change of the level or of a check's outcome, and after the first result,
  // without the monitor's lock, on the thread that ran the probes, or that asked and found a check
  // that does not come back. Set before Start.
  void SetOnChange(std::function<void(const v1::Health&)> on_change);

  // Starts the thread and waits a moment for the first result.
  void Start();

  // No new round of probes and no more calls of `on_change`. Does not wait for a probe.
  void Stop();

  // The newest result, at once, and asks for a newer one when it is a second old or more. A check
  // that has been running for too long fails here.
  v1::Health Evaluate();

  // Runs the probes on the calling thread unless the result is newer than a second. For the
  // monitor's thread, and for tests.
  void Refresh();

 private:
  void Run();
  v1::Health RunProbes();
  // The last result, with a failed check for the probe that does not come back.
  v1::Health Current() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether `health` is news; then it is remembered as told.
  bool IsNews(const v1::Health& health) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::vector<HealthProbe> probes_;
  base::Clock& clock_;
  Metrics& metrics_;
  std::function<void(const v1::Health&)> on_change_;
  std::thread thread_;
  absl::Mutex mutex_;
  v1::Health last_ ABSL_GUARDED_BY(mutex_);
  v1::Health told_ ABSL_GUARDED_BY(mutex_);
  absl::Duration evaluated_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  const HealthProbe* running_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null between probes
  absl::Duration running_since_ ABSL_GUARDED_BY(mutex_);
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_HEALTH_H_
