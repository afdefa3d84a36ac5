#include "daemon/pipeline/watchdog.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace kiln::pipeline {

Watchdog::Watchdog(base::Clock& clock) : clock_(clock), thread_([this] { Loop(); }) {}

Watchdog::~Watchdog() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

Watchdog::Guard Watchdog::Arm(absl::Duration timeout, std::function<void()> expire) {
  absl::MutexLock lock(&mutex_);
  const uint64_t id = ++last_id_;
  entries_[id] = {.deadline = clock_.Monotonic() + timeout, .expire = std::move(expire)};
  ++changes_;
  return Guard(*this, id);
}

void Watchdog::ExpireAll() {
  absl::MutexLock lock(&mutex_);
  for (auto& [id, entry] : entries_) entry.deadline = std::min(entry.deadline, clock_.Monotonic());
  ++changes_;
}

Watchdog::Guard::~Guard() {
  Watchdog& w = watchdog_;
  absl::MutexLock lock(&w.mutex_);
  const auto idle = [&w, this] {
    w.mutex_.AssertHeld();
    return !w.entries_.at(id_).calling;
  };
  w.mutex_.Await(absl::Condition(&idle));
  w.entries_.erase(id_);
}

bool Watchdog::Guard::expired() const {
  absl::MutexLock lock(&watchdog_.mutex_);
  return watchdog_.entries_.at(id_).expired;
}

void Watchdog::Loop() {
  absl::MutexLock lock(&mutex_);
  while (!stop_) {
    const absl::Duration now = clock_.Monotonic();
    absl::Duration next = absl::InfiniteDuration();
    bool called = false;
    for (auto& [id, entry] : entries_) {
      if (entry.deadline > now) {
        next = std::min(next, entry.deadline);
        continue;
      }
      entry.expired = true;
      entry.calling = true;
      entry.deadline = now + kRepeat;
      const std::function<void()> expire = entry.expire;
      mutex_.Unlock();
      expire();
      mutex_.Lock();
      // The entry is still there: its guard waits for `calling`. Others may have come and gone.
      entry.calling = false;
      called = true;
      break;
    }
    if (called) continue;
    const uint64_t seen = changes_;
    clock_.AwaitCondition(
        &mutex_,
        [this, seen] {
          mutex_.AssertHeld();
          return stop_ || changes_ != seen;
        },
        next - now);
  }
}

}  // namespace kiln::pipeline
