#include "daemon/api/event_hub.h"

#include <memory>
#include <string>
#include <vector>

#include "base/fake_clock.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

storage::EventRecord Record(int64_t sequence, int kind = v1::EVENT_KIND_DEPLOYMENT,
                            const std::string& subject = "deployments/a") {
  storage::EventRecord record;
  record.sequence = sequence;
  record.kind = kind;
  record.subject = subject;
  return record;
}

v1::Progress ProgressOf(const std::string& deployment, int percent) {
  v1::Progress progress;
  progress.set_deployment(deployment);
  progress.set_progress_percent(percent);
  return progress;
}

class EventHubTest : public ::testing::Test {
 protected:
  std::shared_ptr<Subscription> Subscribe(const EventSelection& selection = {}) {
    auto subscription = hub_.Subscribe(selection, absl::Seconds(10), [this] { ++wakes_; });
    subscription->Activate();
    return subscription;
  }

  // Everything there is to take: "e3" an event, "p40" progress, "h3" a heartbeat.
  static std::vector<std::string> TakeAll(Subscription& subscription) {
    std::vector<std::string> taken;
    while (true) {
      const Subscription::Item item = subscription.Take();
      switch (item.kind) {
        case Subscription::Item::Kind::kNothing:
          return taken;
        case Subscription::Item::Kind::kEvent:
          taken.push_back("e" + std::to_string(item.event->sequence));
          break;
        case Subscription::Item::Kind::kProgress:
          taken.push_back("p" + std::to_string(item.progress.progress_percent()));
          break;
        case Subscription::Item::Kind::kHeartbeat:
          taken.push_back("h" + std::to_string(item.last_sequence));
          break;
      }
    }
  }

  base::FakeClock clock_;
  std::unique_ptr<telemetry::PrometheusMetrics> metrics_ =
      telemetry::PrometheusMetrics::Create({}, clock_);
  EventHub hub_{{.max_queued = 3, .abandon_after = absl::Seconds(5)}, clock_, *metrics_};
  int wakes_ = 0;
};

TEST_F(EventHubTest, EventsComeInOrderAfterOneWake) {
  const auto subscription = Subscribe();
  hub_.Publish(Record(1));
  hub_.Publish(Record(2));
  EXPECT_EQ(wakes_, 0) << "the publisher must not run the reader";

  hub_.Pump();

  EXPECT_EQ(wakes_, 1);
  EXPECT_THAT(TakeAll(*subscription), ElementsAre("e1", "e2"));
}

TEST_F(EventHubTest, NothingIsQueuedBeforeActivation) {
  const auto subscription = hub_.Subscribe({}, absl::Seconds(10), [] {});
  hub_.Publish(Record(1));
  subscription->Activate();
  hub_.Publish(Record(2));
  EXPECT_THAT(TakeAll(*subscription), ElementsAre("e2"));
}

TEST_F(EventHubTest, FiltersByKindAndSubject) {
  const auto all = Subscribe();
  const auto boards = Subscribe({.subject = "", .kinds = {v1::EVENT_KIND_BOARD}});
  const auto one = Subscribe({.subject = "deployments/a", .kinds = {}});
  hub_.Publish(Record(1));
  hub_.Publish(Record(2, v1::EVENT_KIND_BOARD, "boards/p"));
  hub_.Publish(Record(3, v1::EVENT_KIND_DEPLOYMENT, "deployments/b"));
  hub_.PublishProgress(ProgressOf("deployments/b", 40));

  EXPECT_THAT(TakeAll(*all), ElementsAre("e1", "e2", "e3", "p40"));
  EXPECT_THAT(TakeAll(*boards), ElementsAre("e2"));
  EXPECT_THAT(TakeAll(*one), ElementsAre("e1"));
}

TEST_F(EventHubTest, ProgressIsConflatedPerDeployment) {
  const auto subscription = Subscribe();
  for (int percent = 0; percent <= 50; ++percent) {
    hub_.PublishProgress(ProgressOf("deployments/a", percent));
    hub_.PublishProgress(ProgressOf("deployments/b", percent + 1));
  }
  EXPECT_EQ(subscription->state(), Subscription::State::kOpen);
  EXPECT_THAT(TakeAll(*subscription), ElementsAre("p50", "p51"));
}

TEST_F(EventHubTest, AnEventReplacesOlderProgress) {
  const auto subscription = Subscribe();
  hub_.PublishProgress(ProgressOf("deployments/a", 99));
  hub_.Publish(Record(1));
  EXPECT_THAT(TakeAll(*subscription), ElementsAre("e1"));
}

TEST_F(EventHubTest, SlowReaderIsDroppedAndNobodyElse) {
  const auto slow = Subscribe();
  const auto quick = Subscribe();
  for (int i = 1; i <= 3; ++i) {
    hub_.Publish(Record(i));
    TakeAll(*quick);
  }
  EXPECT_EQ(slow->state(), Subscription::State::kOpen);

  hub_.Publish(Record(4));

  EXPECT_EQ(slow->state(), Subscription::State::kTooSlow);
  EXPECT_THAT(TakeAll(*slow), IsEmpty());
  EXPECT_THAT(TakeAll(*quick), ElementsAre("e4"));
  EXPECT_THAT(metrics_->Expose(), HasSubstr("kiln_events_dropped_total 4\n"));
  hub_.Pump();
  EXPECT_EQ(wakes_, 2) << "the dropped reader must learn of it";
}

TEST_F(EventHubTest, DroppedReaderGetsNoHeartbeatThatCoversWhatItMissed) {
  const auto slow = Subscribe();
  clock_.Advance(absl::Seconds(10));
  hub_.Pump();  // a heartbeat is due
  for (int i = 1; i <= 4; ++i) hub_.Publish(Record(i));
  ASSERT_EQ(slow->state(), Subscription::State::kTooSlow);
  EXPECT_THAT(TakeAll(*slow), IsEmpty());
}

TEST_F(EventHubTest, DroppedReaderThatStaysIsAbandoned) {
  const auto slow = Subscribe();
  for (int i = 1; i <= 4; ++i) hub_.Publish(Record(i));
  EXPECT_EQ(hub_.Pump(), absl::Seconds(5));
  clock_.Advance(absl::Seconds(5));

  hub_.Pump();

  EXPECT_EQ(slow->state(), Subscription::State::kAbandoned);
  EXPECT_EQ(wakes_, 2);
}

TEST_F(EventHubTest, HeartbeatComesAfterSilenceWithTheLastSequence) {
  const auto subscription = Subscribe({.subject = "deployments/a", .kinds = {}});
  hub_.Publish(Record(7, v1::EVENT_KIND_BOARD, "boards/p"));  // filtered, but counted
  EXPECT_EQ(hub_.Pump(), absl::Seconds(10));
  clock_.Advance(absl::Seconds(9));
  EXPECT_EQ(hub_.Pump(), absl::Seconds(1));
  EXPECT_EQ(wakes_, 0);
  clock_.Advance(absl::Seconds(1));

  EXPECT_EQ(hub_.Pump(), absl::InfiniteDuration()) << "a heartbeat not taken must not spin the hub";

  EXPECT_EQ(wakes_, 1);
  EXPECT_THAT(TakeAll(*subscription), ElementsAre("h7"));
}

TEST_F(EventHubTest, TrafficPostponesTheHeartbeat) {
  const auto subscription = Subscribe();
  clock_.Advance(absl::Seconds(9));
  hub_.Publish(Record(1));
  TakeAll(*subscription);
  clock_.Advance(absl::Seconds(9));
  EXPECT_EQ(hub_.Pump(), absl::Seconds(1));
  EXPECT_THAT(TakeAll(*subscription), IsEmpty());
}

TEST_F(EventHubTest, CloseEndsPresentAndFutureReaders) {
  const auto before = Subscribe();
  hub_.Publish(Record(1));
  hub_.Close();
  const auto after = Subscribe();
  hub_.Pump();
  EXPECT_EQ(before->state(), Subscription::State::kClosed);
  EXPECT_EQ(after->state(), Subscription::State::kClosed);
  EXPECT_THAT(TakeAll(*before), IsEmpty());
  EXPECT_GE(wakes_, 1);
}

TEST_F(EventHubTest, SubscribersAreCounted) {
  auto one = Subscribe();
  const auto two = Subscribe();
  EXPECT_THAT(metrics_->Expose(), HasSubstr("kiln_event_subscribers 2\n"));
  one.reset();
  EXPECT_THAT(metrics_->Expose(), HasSubstr("kiln_event_subscribers 1\n"));
}

TEST_F(EventHubTest, ThreadWakesReaders) {
  EventHub hub({}, base::SystemClock(), *metrics_);
  absl::Mutex mutex;
  bool woken = false;
  const auto subscription = hub.Subscribe({}, absl::Minutes(1), [&] {
    absl::MutexLock lock(&mutex);
    woken = true;
  });
  subscription->Activate();
  hub.Start();
  hub.Publish(Record(1));
  absl::MutexLock lock(&mutex);
  EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&woken), absl::Seconds(30)));
}

}  // namespace
}  // namespace kiln::api
