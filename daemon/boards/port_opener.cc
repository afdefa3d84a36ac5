#include "daemon/boards/port_opener.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "errors/error.h"

namespace kiln::boards {

void PortOpener::Attach(std::shared_ptr<ports::StreamOpener> target) {
  // The old target is released after the lock.
  absl::MutexLock lock(&mutex_);
  target_.swap(target);
}

std::shared_ptr<ports::StreamOpener> PortOpener::target() const {
  absl::MutexLock lock(&mutex_);
  return target_;
}

absl::StatusOr<std::unique_ptr<ports::ByteStream>> PortOpener::Open() {
  const std::shared_ptr<ports::StreamOpener> target = this->target();
  if (target == nullptr) {
    return errors::MakeError(errors::ErrorCode::kBoardNotFound,
                             absl::StrCat("nothing is plugged in at ", port_));
  }
  return target->Open();
}

std::string PortOpener::address() const {
  const std::shared_ptr<ports::StreamOpener> target = this->target();
  return target == nullptr ? "" : target->address();
}

bool PortOpener::Present() {
  const std::shared_ptr<ports::StreamOpener> target = this->target();
  return target != nullptr && target->Present();
}

std::string PortOpener::Instance() {
  const std::shared_ptr<ports::StreamOpener> target = this->target();
  return target == nullptr ? "" : target->Instance();
}

}  // namespace kiln::boards
