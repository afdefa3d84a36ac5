#include "daemon/api/event_hub.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace kiln::api {

bool EventSelection::Wants(int kind, const std::string& event_subject) const {
  if (!subject.empty() && subject != event_subject) return false;
  return kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

Subscription::Subscription(EventHub& hub, EventSelection selection,
                           absl::Duration heartbeat_interval, std::function<void()> wake)
    : hub_(hub),
      selection_(std::move(selection)),
      heartbeat_interval_(heartbeat_interval),
      wake_(std::move(wake)) {}

Subscription::~Subscription() { hub_.Remove(this); }

void Subscription::Activate() {
  absl::MutexLock lock(&hub_.mutex_);
  active_ = true;
  last_taken_ = hub_.clock_.Monotonic();
  hub_.work_ = true;  // the hub's thread must learn of a new deadline
}

Subscription::Item Subscription::Take() {
  absl::MutexLock lock(&hub_.mutex_);
  Item item;
  // What was dropped must not be covered by a heartbeat's sequence number.
  if (state_ != State::kOpen) return item;
  if (!queue_.empty()) {
    item.kind = Item::Kind::kEvent;
    item.event = std::move(queue_.front());
    queue_.pop_front();
  } else if (!progress_.empty()) {
    item.kind = Item::Kind::kProgress;
    item.progress = std::move(progress_.begin()->second);
    progress_.erase(progress_.begin());
  } else if (heartbeat_due_) {
    item.kind = Item::Kind::kHeartbeat;
    item.last_sequence = hub_.last_sequence_;
  } else {
    return item;
  }
  heartbeat_due_ = false;
  last_taken_ = hub_.clock_.Monotonic();
  hub_.work_ = true;
  return item;
}

Subscription::State Subscription::state() const {
  absl::MutexLock lock(&hub_.mutex_);
  return state_;
}

EventHub::EventHub(const EventHubOptions& options, base::Clock& clock, telemetry::Metrics& metrics)
    : options_(options), clock_(clock), metrics_(metrics), last_sequence_(options.last_sequence) {}

EventHub::~EventHub() {
  Close();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void EventHub::Start() {
  thread_ = std::thread([this] { Run(); });
}

void EventHub::Publish(const storage::EventRecord& record) {
  const auto shared = std::make_shared<const storage::EventRecord>(record);
  absl::MutexLock lock(&mutex_);
  last_sequence_ = std::max(last_sequence_, record.sequence);
  for (const auto& [subscription, owner] : subscriptions_) {
    if (!subscription->active_ || subscription->state_ != Subscription::State::kOpen) continue;
    if (!subscription->selection_.Wants(record.kind, record.subject)) continue;
    subscription->progress_.erase(record.subject);  // the event says more, and is newer
    DropIfFull(*subscription);
    if (subscription->state_ == Subscription::State::kOpen) subscription->queue_.push_back(shared);
    MarkDirty(*subscription);
  }
}

void EventHub::PublishProgress(const v1::Progress& progress) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [subscription, owner] : subscriptions_) {
    if (!subscription->active_ || subscription->state_ != Subscription::State::kOpen) continue;
    if (!subscription->selection_.Wants(v1::EVENT_KIND_DEPLOYMENT, progress.deployment())) continue;
    subscription->progress_[progress.deployment()] = progress;
    MarkDirty(*subscription);
  }
}

std::shared_ptr<Subscription> EventHub::Subscribe(const EventSelection& selection,
                                                  absl::Duration heartbeat_interval,
                                                  std::function<void()> wake) {
  std::shared_ptr<Subscription> subscription(
      new Subscription(*this, selection, heartbeat_interval, std::move(wake)));
  absl::MutexLock lock(&mutex_);
  subscription->last_taken_ = clock_.Monotonic();
  if (closed_) subscription->state_ = Subscription::State::kClosed;
  subscriptions_[subscription.get()] = subscription;
  metrics_.SetEventSubscribers(static_cast<int>(subscriptions_.size()));
  return subscription;
}

void EventHub::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (const auto& [subscription, owner] : subscriptions_) {
    subscription->state_ = Subscription::State::kClosed;
    subscription->queue_.clear();
    subscription->progress_.clear();
    MarkDirty(*subscription);
  }
}

void EventHub::Remove(Subscription* subscription) {
  absl::MutexLock lock(&mutex_);
  subscriptions_.erase(subscription);
  metrics_.SetEventSubscribers(static_cast<int>(subscriptions_.size()));
}

void EventHub::MarkDirty(Subscription& subscription) {
  subscription.dirty_ = true;
  work_ = true;
}

void EventHub::DropIfFull(Subscription& subscription) {
  if (subscription.queue_.size() < options_.max_queued) return;
  metrics_.EventsDropped(static_cast<int>(subscription.queue_.size()) + 1);
  subscription.state_ = Subscription::State::kTooSlow;
  subscription.too_slow_since_ = clock_.Monotonic();
  subscription.queue_.clear();
  subscription.progress_.clear();
}

absl::Duration EventHub::Pump() {
  // Held until after the wakes, so that nobody is destroyed in between.
  std::vector<std::shared_ptr<Subscription>> awake;
  absl::Duration next = absl::InfiniteDuration();
  {
    absl::MutexLock lock(&mutex_);
    work_ = false;
    const absl::Duration now = clock_.Monotonic();
    for (const auto& [subscription, owner] : subscriptions_) {
      if (subscription->state_ == Subscription::State::kTooSlow) {
        const absl::Duration deadline = subscription->too_slow_since_ + options_.abandon_after;
        if (now >= deadline) {
          subscription->state_ = Subscription::State::kAbandoned;
          subscription->dirty_ = true;
        } else {
          next = std::min(next, deadline - now);
        }
      } else if (subscription->state_ == Subscription::State::kOpen && subscription->active_ &&
                 !subscription->heartbeat_due_) {
        const absl::Duration deadline =
            subscription->last_taken_ + subscription->heartbeat_interval_;
        if (now >= deadline) {
          subscription->heartbeat_due_ = true;
          subscription->dirty_ = true;
        } else {
          next = std::min(next, deadline - now);
        }
      }
      if (subscription->dirty_) {
        subscription->dirty_ = false;
        if (auto alive = owner.lock(); alive != nullptr) awake.push_back(std::move(alive));
      }
    }
  }
  for (const auto& subscription : awake) subscription->wake_();
  return next;
}

void EventHub::Run() {
  absl::Duration timeout = absl::ZeroDuration();
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      clock_.AwaitCondition(
          &mutex_, [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return work_ || stopping_; }, timeout);
      if (stopping_) return;
    }
    timeout = Pump();
  }
}

}  // namespace kiln::api
