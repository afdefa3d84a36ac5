#ifndef KILN_DAEMON_API_WORK_POOL_H_
#define KILN_DAEMON_API_WORK_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace kiln::api {

// A few threads and a bounded queue, so that nothing that touches disk or boards runs on gRPC's
// event threads. Thread-safe. Owned by the API server.
class WorkPool {
 public:
  WorkPool(int threads, size_t max_queued);
  // Runs what is queued, then stops.
  ~WorkPool();

  // False, and `work` is not run, when the queue is full.
  [[nodiscard]] bool Post(std::function<void()> work);

 private:
  void Run();

  const size_t max_queued_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_WORK_POOL_H_
