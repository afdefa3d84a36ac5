#include "base/cancellation.h"

#include <string>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace kiln::base {

void Cancellation::Cancel(const std::string& reason) {
  absl::MutexLock lock(&mutex_);
  if (cancelled_) return;
  cancelled_ = true;
  reason_ = reason;
}

bool Cancellation::IsCancelled() const { return !Check().ok(); }

absl::Status Cancellation::Check() const {
  {
    absl::MutexLock lock(&mutex_);
    if (cancelled_) return absl::CancelledError(reason_);
  }
  return parent_ == nullptr ? absl::OkStatus() : parent_->Check();
}

}  // namespace kiln::base
