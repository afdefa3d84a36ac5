#include "daemon/telemetry/health.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::telemetry {
namespace {

// Payload, empty: the check fails as if it were not critical.
constexpr absl::string_view kDegradedUrl = "kiln.v1/degraded";
constexpr absl::Duration kMaxAge = absl::Seconds(1);
// Longer than any probe takes on a disk that answers.
constexpr absl::Duration kStuckAfter = absl::Seconds(10);
// How long the start may wait for the first result.
constexpr absl::Duration kFirstResult = absl::Seconds(2);

bool SameOutcome(const v1::Health& a, const v1::Health& b) {
  if (a.level() != b.level() || a.checks_size() != b.checks_size()) return false;
  for (int i = 0; i < a.checks_size(); ++i) {
    if (a.checks(i).ok() != b.checks(i).ok()) return false;
  }
  return true;
}

v1::Health::Level LevelOf(const v1::Health& health) {
  v1::Health::Level level = v1::Health::LEVEL_HEALTHY;
  for (const v1::HealthCheck& check : health.checks()) {
    if (check.ok()) continue;
    level = std::max(level,
                     check.critical() ? v1::Health::LEVEL_UNHEALTHY : v1::Health::LEVEL_DEGRADED);
  }
  return level;
}

}  // namespace

absl::Status Degraded(absl::string_view message) {
  absl::Status status = absl::UnavailableError(message);
  status.SetPayload(kDegradedUrl, absl::Cord());
  return status;
}

HealthMonitor::HealthMonitor(std::vector<HealthProbe> probes, base::Clock& clock, Metrics& metrics)
    : probes_(std::move(probes)), clock_(clock), metrics_(metrics) {}

HealthMonitor::~HealthMonitor() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

void HealthMonitor::SetOnChange(std::function<void(const v1::Health&)> on_change) {
  on_change_ = std::move(on_change);
}

void HealthMonitor::Start() {
  absl::MutexLock lock(&mutex_);
  wanted_ = true;
  thread_ = std::thread([this] { Run(); });
  clock_.AwaitCondition(
      &mutex_,
      [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return evaluated_at_ > -absl::InfiniteDuration(); },
      kFirstResult);
}

void HealthMonitor::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
}

v1::Health HealthMonitor::Evaluate() {
  v1::Health health;
  bool news = false;
  {
    absl::MutexLock lock(&mutex_);
    if (clock_.Monotonic() - evaluated_at_ >= kMaxAge) wanted_ = true;
    health = Current();
    // Ordinary results are told by the thread that has them.
    news = !SameOutcome(health, last_) && IsNews(health);
  }
  if (news && on_change_) on_change_(health);
  return health;
}

void HealthMonitor::Refresh() {
  {
    absl::MutexLock lock(&mutex_);
    if (clock_.Monotonic() - evaluated_at_ < kMaxAge) return;
  }
  const v1::Health health = RunProbes();
  bool news = false;
  {
    absl::MutexLock lock(&mutex_);
    last_ = health;
    evaluated_at_ = clock_.Monotonic();
    news = IsNews(health);
  }
  if (news && on_change_) on_change_(health);
}

void HealthMonitor::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return wanted_ || stopping_; };
      mutex_.Await(absl::Condition(&ready));
      if (stopping_) return;
      wanted_ = false;
    }
    Refresh();
  }
}

v1::Health HealthMonitor::RunProbes() {
  v1::Health health;
  for (const HealthProbe& probe : probes_) {
    {
      absl::MutexLock lock(&mutex_);
      running_ = &probe;
      running_since_ = clock_.Monotonic();
    }
    std::string message;
    const absl::Status status = probe.probe(message);
    v1::HealthCheck& check = *health.add_checks();
    check.set_name(probe.name);
    check.set_ok(status.ok());
    const bool degraded = status.GetPayload(kDegradedUrl).has_value();
    check.set_critical(probe.critical && !degraded);
    check.set_message(status.ok() ? message : std::string(status.message()));
    metrics_.SetHealthCheck(probe.name, status.ok() || (probe.critical && degraded));
  }
  {
    absl::MutexLock lock(&mutex_);
    running_ = nullptr;
  }
  health.set_level(LevelOf(health));
  *health.mutable_check_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(clock_.Now()));
  return health;
}

v1::Health HealthMonitor::Current() const {
  if (running_ == nullptr) return last_;
  // Without any result, the check that is still under way is all there is to say.
  const bool first = evaluated_at_ == -absl::InfiniteDuration();
  if (!first && clock_.Monotonic() - running_since_ < kStuckAfter) return last_;
  v1::Health health = last_;
  v1::HealthCheck* stuck = nullptr;
  for (v1::HealthCheck& check : *health.mutable_checks()) {
    if (check.name() == running_->name) stuck = &check;
  }
  if (stuck == nullptr) stuck = health.add_checks();
  stuck->set_name(running_->name);
  stuck->set_critical(running_->critical);
  stuck->set_ok(false);
  stuck->set_message("The check does not come back; what it looks at hangs.");
  metrics_.SetHealthCheck(running_->name, false);
  health.set_level(LevelOf(health));
  return health;
}

bool HealthMonitor::IsNews(const v1::Health& health) {
  if (stopping_ || SameOutcome(health, told_)) return false;
  told_ = health;
  return true;
}

}  // namespace kiln::telemetry
