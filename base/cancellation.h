#ifndef KILN_BASE_CANCELLATION_H_
#define KILN_BASE_CANCELLATION_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace kiln::base {

// One request to stop, seen by many waits. Made by whoever may cancel (a
// deployment's scheduler entry, a drain), passed by pointer to the work, which
// asks `Check()` at its safe points. A cancellation may have a parent: it is
// then cancelled when either is. Thread-safe; once cancelled it stays so.
class Cancellation {
 public:
  Cancellation() = default;
  // `parent` must outlive this object; null means none.
  explicit Cancellation(const Cancellation* parent) : parent_(parent) {}
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  // The first reason wins; later calls change nothing.
  void Cancel(const std::string& reason);
  bool IsCancelled() const;
  // OK, or CANCELLED with the reason.
  absl::Status Check() const;

 private:
  const Cancellation* const parent_ = nullptr;
  mutable absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::string reason_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::base

#endif  // KILN_BASE_CANCELLATION_H_
