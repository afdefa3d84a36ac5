#include "daemon/telemetry/health.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::telemetry {
namespace {

constexpr absl::Duration kMaxAge = absl::Seconds(1);

bool SameOutcome(const v1::Health& a, const v1::Health& b) {
  if (a.level() != b.level() || a.checks_size() != b.checks_size()) return false;
  for (int i = 0; i < a.checks_size(); ++i) {
    if (a.checks(i).ok() != b.checks(i).ok()) return false;
  }
  return true;
}

}  // namespace

HealthMonitor::HealthMonitor(std::vector<HealthProbe> probes, base::Clock& clock, Metrics& metrics)
    : probes_(std::move(probes)), clock_(clock), metrics_(metrics) {}

void HealthMonitor::SetOnChange(std::function<void(const v1::Health&)> on_change) {
  on_change_ = std::move(on_change);
}

v1::Health HealthMonitor::Evaluate() {
  v1::Health health;
  bool changed = false;
  {
    absl::MutexLock lock(&mutex_);
    if (clock_.Monotonic() - evaluated_at_ < kMaxAge) return last_;
    health = RunProbes();
    changed = !SameOutcome(health, last_);
    last_ = health;
    evaluated_at_ = clock_.Monotonic();
  }
  if (changed && on_change_) on_change_(health);
  return health;
}

v1::Health HealthMonitor::RunProbes() {
  v1::Health health;
  v1::Health::Level level = v1::Health::LEVEL_HEALTHY;
  for (const HealthProbe& probe : probes_) {
    std::string message;
    const absl::Status status = probe.probe(message);
    v1::HealthCheck& check = *health.add_checks();
    check.set_name(probe.name);
    check.set_ok(status.ok());
    check.set_critical(probe.critical);
    check.set_message(status.ok() ? message : std::string(status.message()));
    metrics_.SetHealthCheck(probe.name, status.ok());
    if (!status.ok()) {
      level = std::max(level,
                       probe.critical ? v1::Health::LEVEL_UNHEALTHY : v1::Health::LEVEL_DEGRADED);
    }
  }
  health.set_level(level);
  *health.mutable_check_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(clock_.Now()));
  return health;
}

}  // namespace kiln::telemetry
