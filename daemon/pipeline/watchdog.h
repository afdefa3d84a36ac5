#ifndef KILN_DAEMON_PIPELINE_WATCHDOG_H_
#define KILN_DAEMON_PIPELINE_WATCHDOG_H_

#include <cstdint>
#include <functional>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace kiln::pipeline {

// Ends steps that take too long. One thread watches the deadlines of all workers; when one has
// passed it calls the step's `expire`, again every second until the step lets go, since a single
// interrupt may fall between two waits. Owned by the scheduler; Arm from any thread.
class Watchdog {
 public:
  explicit Watchdog(base::Clock& clock);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Disarms when it goes; `expire` does not run any more once the destructor has returned.
  class Guard {
   public:
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    // Whether the deadline has passed.
    bool expired() const;

   private:
    friend class Watchdog;
    Guard(Watchdog& watchdog, uint64_t id) : watchdog_(watchdog), id_(id) {}
    Watchdog& watchdog_;
    const uint64_t id_;
  };

  // `expire` is called on the watchdog's thread, must not block and must not use the guard.
  Guard Arm(absl::Duration timeout, std::function<void()> expire);
  // Treats every deadline as passed: the last resort of a shutdown.
  void ExpireAll();

 private:
  static constexpr absl::Duration kRepeat = absl::Seconds(1);

  struct Entry {
    absl::Duration deadline;  // on the monotonic clock
    std::function<void()> expire;
    bool calling = false;
    bool expired = false;
  };

  void Loop();

  base::Clock& clock_;
  mutable absl::Mutex mutex_;
  std::map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  // Grows whenever the thread has to look at its deadlines anew.
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_WATCHDOG_H_
