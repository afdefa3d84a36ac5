#ifndef KILN_DAEMON_API_EVENT_HUB_H_
#define KILN_DAEMON_API_EVENT_HUB_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/telemetry/metrics.h"
#include "kiln/v1/station.pb.h"
#include "storage/ledger.h"

namespace kiln::api {

// Which events a reader wants. Nothing set means everything; all that is set must match.
struct EventSelection {
  std::string subject;     // "deployments/{id}"
  std::vector<int> kinds;  // kiln.v1.EventKind

  bool Wants(int kind, const std::string& event_subject) const;
};

class EventHub;

// One reader's place at the hub: a bounded queue of events, the newest progress of each deployment,
// and what became of the reader. Made by EventHub::Subscribe, owned by its stream; thread-safe. The
// hub must outlive it.
class Subscription {
 public:
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // From now on events are queued and heartbeats fall due. Whatever the ledger holds already is the
  // reader's to fetch; nothing committed after this call is missed.
  void Activate();

  // The next thing to send; events before progress before heartbeats.
  struct Item {
    enum class Kind { kNothing, kEvent, kProgress, kHeartbeat };
    Kind kind = Kind::kNothing;
    std::shared_ptr<const storage::EventRecord> event;
    v1::Progress progress;
    int64_t last_sequence = 0;  // of a heartbeat
  };
  Item Take();

  enum class State {
    kOpen,
    kTooSlow,    // the queue ran over; nothing more will come
    kAbandoned,  // too slow, and did not even take what was being written
    kClosed,     // the hub is closed
  };
  State state() const;

 private:
  friend class EventHub;
  Subscription(EventHub& hub, EventSelection selection, absl::Duration heartbeat_interval,
               std::function<void()> wake);

  EventHub& hub_;
  const EventSelection selection_;
  const absl::Duration heartbeat_interval_;
  const std::function<void()> wake_;

  // Guarded by the hub's mutex, like everything that changes here.
  bool active_ = false;
  State state_ = State::kOpen;
  bool dirty_ = false;  // wants a wake
  bool heartbeat_due_ = false;
  absl::Duration last_taken_;      // monotonic
  absl::Duration too_slow_since_;  // monotonic
  std::deque<std::shared_ptr<const storage::EventRecord>> queue_;
  std::map<std::string, v1::Progress> progress_;  // by deployment
};

struct EventHubOptions {
  // Events a reader may lag behind before it is dropped.
  size_t max_queued = 1000;
  // How long a dropped reader may take to accept the message that was under way.
  absl::Duration abandon_after = absl::Seconds(10);
  // Where the ledger stands when the hub is made, for heartbeats before the first event.
  int64_t last_sequence = 0;
};

// Hands the ledger's commits and live progress to any number of readers, never waiting for one. One
// for the station, made by main. `Publish` is called by the ledger under its write lock and only
// queues; one thread of the hub wakes readers, sends heartbeats due and notices the abandoned.
class EventHub {
 public:
  // `clock` and `metrics` must outlive the hub.
  EventHub(const EventHubOptions& options, base::Clock& clock, telemetry::Metrics& metrics);
  // All subscriptions must be gone.
  ~EventHub();

  // Starts the hub's thread. Tests call Pump themselves instead.
  void Start();

  void Publish(const storage::EventRecord& record);
  // Replaces earlier progress of the same deployment that was not sent yet.
  void PublishProgress(const v1::Progress& progress);

  // `wake` is called on the hub's thread, without locks held, whenever there may be something to
  // take or the state changed. It must not block.
  std::shared_ptr<Subscription> Subscribe(const EventSelection& selection,
                                          absl::Duration heartbeat_interval,
                                          std::function<void()> wake);

  // Ends every stream: present and future subscriptions are kClosed. Idempotent.
  void Close();

  // One round of the hub's thread: what is due at the clock's present time. Returns how long it may
  // sleep if nothing happens.
  absl::Duration Pump();

 private:
  friend class Subscription;
  void Remove(Subscription* subscription);
  void Run();
  void MarkDirty(Subscription& subscription) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropIfFull(Subscription& subscription) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const EventHubOptions options_;
  base::Clock& clock_;
  telemetry::Metrics& metrics_;
  mutable absl::Mutex mutex_;
  std::map<Subscription*, std::weak_ptr<Subscription>> subscriptions_ ABSL_GUARDED_BY(mutex_);
  int64_t last_sequence_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool work_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_EVENT_HUB_H_
