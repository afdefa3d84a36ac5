#include "daemon/esp/port_profile.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace kiln::esp {
namespace {

// A high rate that fails costs a board two to three seconds.
constexpr int kBoardsBeforeRetry = 8;

}  // namespace

std::string PortProfile::last_reset() const {
  absl::MutexLock lock(&mutex_);
  return last_reset_;
}

void PortProfile::ResetWorked(absl::string_view name) {
  absl::MutexLock lock(&mutex_);
  last_reset_ = std::string(name);
}

uint32_t PortProfile::RateToTry(uint32_t wanted) {
  absl::MutexLock lock(&mutex_);
  if (learnt_rate_ == 0 || wanted <= learnt_rate_) return wanted;
  if (++boards_at_learnt_ < kBoardsBeforeRetry) return learnt_rate_;
  boards_at_learnt_ = 0;
  return wanted;
}

void PortProfile::RateFailed(uint32_t lower) {
  absl::MutexLock lock(&mutex_);
  learnt_rate_ = lower;
  boards_at_learnt_ = 0;
}

void PortProfile::RateWorked(uint32_t rate) {
  absl::MutexLock lock(&mutex_);
  if (rate > learnt_rate_) learnt_rate_ = 0;
}

void PortProfiles::Configure(const std::string& port, PortProfile::Settings settings) {
  absl::MutexLock lock(&mutex_);
  profiles_[port] = std::make_unique<PortProfile>(std::move(settings));
}

PortProfile& PortProfiles::Of(const std::string& port) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<PortProfile>& profile = profiles_[port];
  if (profile == nullptr) profile = std::make_unique<PortProfile>();
  return *profile;
}

}  // namespace kiln::esp
