#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/api/testing/api_fixture.h"
#include "daemon/pipeline/messages.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::api::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WatchTest : public ApiTest {
 protected:
  using Reader = std::unique_ptr<grpc::ClientReader<v1::WatchEventsResponse>>;

  Reader Watch(const v1::WatchEventsRequest& request = {}) {
    context_ = Context();
    return station_->WatchEvents(context_.get(), request);
  }

  static v1::WatchEventsRequest After(int64_t sequence) {
    v1::WatchEventsRequest request;
    request.set_after_sequence(sequence);
    return request;
  }

  // The next `count` events' sequence numbers; progress and heartbeats are passed over.
  static std::vector<int64_t> Sequences(grpc::ClientReader<v1::WatchEventsResponse>& reader,
                                        size_t count) {
    std::vector<int64_t> sequences;
    v1::WatchEventsResponse message;
    while (sequences.size() < count && reader.Read(&message)) {
      if (message.has_event()) sequences.push_back(message.event().sequence());
    }
    return sequences;
  }

  void AppendAudit(const std::string& reason) {
    v1::Event event;
    event.set_kind(v1::EVENT_KIND_AUDIT);
    event.mutable_audit()->set_reason(reason);
    const auto record = ledger_->AppendEvent(pipeline::DraftOf(event, "station"));
    ASSERT_TRUE(record.ok()) << record.status();
  }

  static std::string End(Reader& reader) {
    v1::WatchEventsResponse message;
    while (reader->Read(&message)) {
    }
    return Describe(reader->Finish());
  }

  std::unique_ptr<grpc::ClientContext> context_;
};

TEST_F(WatchTest, StartsWithASnapshotAndGoesOnAfterIt) {
  boards_.AddPort("p1", "A1");
  const v1::Deployment first = Create();
  Reader reader = Watch();

  v1::WatchEventsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  ASSERT_TRUE(message.has_snapshot()) << message.ShortDebugString();
  EXPECT_EQ(message.snapshot().last_sequence(), 1);
  ASSERT_EQ(message.snapshot().deployments_size(), 1);
  EXPECT_EQ(message.snapshot().deployments(0).name(), first.name());
  ASSERT_EQ(message.snapshot().boards_size(), 1);
  EXPECT_EQ(message.snapshot().boards(0).alias(), "A1");

  const v1::Deployment second = Create();
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.event().sequence(), 2);
  EXPECT_EQ(message.event().deployment().name(), second.name());
}

TEST_F(WatchTest, ProgressReachesTheReader) {
  Reader reader = Watch();
  v1::WatchEventsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  v1::Progress progress;
  progress.set_deployment("deployments/x");
  progress.set_progress_percent(42);
  hub_.PublishProgress(progress);
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.progress().progress_percent(), 42);
}

TEST_F(WatchTest, ResumesWithoutGapOrRepeatWhileEventsKeepComing) {
  // More than two pages of history, and a writer that does not stop for the reader.
  constexpr int kHistory = 450;
  constexpr int kAll = 700;
  for (int i = 0; i < kHistory; ++i) AppendAudit("old");
  std::thread writer([this] {
    for (int i = kHistory; i < kAll; ++i) AppendAudit("new");
  });

  Reader reader = Watch(After(3));
  const std::vector<int64_t> got = Sequences(*reader, kAll - 3);

  writer.join();
  // A reader may be dropped here (the queue is short on purpose), but what came has no hole.
  for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], static_cast<int64_t>(i) + 4);
  if (got.size() < kAll - 3) {
    EXPECT_EQ(End(reader), "RESOURCE_EXHAUSTED READER_TOO_SLOW");
    Reader again = Watch(After(static_cast<int64_t>(got.size()) + 3));
    const std::vector<int64_t> rest = Sequences(*again, kAll - 3 - got.size());
    ASSERT_EQ(rest.size(), kAll - 3 - got.size());
    EXPECT_EQ(rest.front(), static_cast<int64_t>(got.size()) + 4);
    EXPECT_EQ(rest.back(), kAll);
    context_->TryCancel();
  }
}

TEST_F(WatchTest, ResumeAtTheEndWaitsForTheNextEvent) {
  AppendAudit("1");
  Reader reader = Watch(After(1));
  reader->WaitForInitialMetadata();
  AppendAudit("2");
  EXPECT_THAT(Sequences(*reader, 1), ElementsAre(2));
}

TEST_F(WatchTest, RefusesWhatItCannotResume) {
  AppendAudit("1");
  struct Case {
    v1::WatchEventsRequest request;
    std::string want;
  };
  v1::WatchEventsRequest bad_name;
  bad_name.mutable_filter()->set_deployment("boards/x");
  v1::WatchEventsRequest bad_kind;
  bad_kind.mutable_filter()->add_kinds(static_cast<v1::EventKind>(99));
  v1::WatchEventsRequest bad_interval;
  bad_interval.mutable_heartbeat_interval()->set_seconds(61);
  v1::WatchEventsRequest unknown;
  unknown.mutable_filter()->set_deployment("deployments/none");
  const Case cases[] = {
      {After(2), "OUT_OF_RANGE SEQUENCE_OUT_OF_RANGE"},
      {After(-1), "INVALID_ARGUMENT REQUEST_INVALID after_sequence"},
      {bad_name, "INVALID_ARGUMENT REQUEST_INVALID filter.deployment"},
      {bad_kind, "INVALID_ARGUMENT REQUEST_INVALID filter.kinds"},
      {bad_interval, "INVALID_ARGUMENT REQUEST_INVALID heartbeat_interval"},
      {unknown, "NOT_FOUND DEPLOYMENT_NOT_FOUND"},
  };
  for (const Case& c : cases) {
    Reader reader = Watch(c.request);
    EXPECT_EQ(End(reader), c.want) << c.request.ShortDebugString();
  }
}

TEST_F(WatchTest, FilterLetsOneDeploymentThrough) {
  const v1::Deployment mine = Create();
  const v1::Deployment other = Create();
  v1::WatchEventsRequest request = After(0);
  request.mutable_filter()->set_deployment(mine.name());
  Reader reader = Watch(request);
  EXPECT_THAT(Sequences(*reader, 1), ElementsAre(1));
  scheduler_.Move(IdOf(other), storage::DeploymentState::kSucceeded);
  scheduler_.Move(IdOf(mine), storage::DeploymentState::kSucceeded);
  EXPECT_THAT(Sequences(*reader, 1), ElementsAre(4));
}

TEST_F(WatchTest, SlowReaderIsDroppedAndMayResume) {
  Reader reader = Watch();
  v1::WatchEventsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  // The reader stops reading; once the transport's buffers are full, the queue runs over.
  const std::string big(200'000, 'x');
  for (int i = 0;
       i < 1000 && absl::StrContains(metrics_->Expose(), "kiln_events_dropped_total 0\n"); ++i) {
    AppendAudit(big);
  }
  EXPECT_THAT(metrics_->Expose(), ::testing::Not(HasSubstr("kiln_events_dropped_total 0\n")));

  int64_t last = 0;
  while (reader->Read(&message)) {
    if (message.has_event()) last = message.event().sequence();
  }
  EXPECT_EQ(Describe(reader->Finish()), "RESOURCE_EXHAUSTED READER_TOO_SLOW");
  Reader again = Watch(After(last));
  EXPECT_THAT(Sequences(*again, 1), ElementsAre(last + 1));
}

TEST_F(WatchTest, ReaderDroppedInItsHistoryIsToldWhereItStopped) {
  const std::string big(200'000, 'x');
  for (int i = 0; i < 100; ++i) AppendAudit(big);  // one page, more than the transport takes
  Reader reader = Watch(After(0));
  EXPECT_THAT(Sequences(*reader, 1), ElementsAre(1));
  for (int i = 0;
       i < 1000 && absl::StrContains(metrics_->Expose(), "kiln_events_dropped_total 0\n"); ++i) {
    AppendAudit("new");
  }

  int64_t last = 1;
  v1::WatchEventsResponse message;
  while (reader->Read(&message)) {
    if (message.has_event()) last = message.event().sequence();
  }

  const grpc::Status status = reader->Finish();
  EXPECT_EQ(Describe(status), "RESOURCE_EXHAUSTED READER_TOO_SLOW");
  EXPECT_TRUE(absl::EndsWith(status.error_message(), absl::StrCat(" ", last)))
      << status.error_message() << ", but the last event was " << last;
}

TEST_F(WatchTest, ClientsMayLeaveAtAnyMoment) {
  for (int i = 0; i < 300; ++i) AppendAudit("history");
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([this, t] {
      for (int i = 0; i < 10; ++i) {
        auto context = Context();
        v1::WatchEventsRequest request;
        // Into the history, of which there is enough, or into the snapshot, after which none may
        // come.
        const bool history = i % 2 == 0;
        if (history) request.set_after_sequence(i);
        const int reads = history ? (i * 7 + t) % 40 : t % 2;
        auto reader = station_->WatchEvents(context.get(), request);
        v1::WatchEventsResponse message;
        for (int k = 0; k < reads; ++k) reader->Read(&message);
        context->TryCancel();
        reader->Finish();
      }
    });
  }
  for (int i = 0; i < 50; ++i) AppendAudit("meanwhile");
  for (std::thread& client : clients) client.join();

  server_->Stop(absl::Seconds(30));
  // A worker that was in the middle of reading for a stream lets go of it a moment later.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  const auto subscribers = [this] {
    const std::string text = metrics_->Expose();
    return text.substr(text.find("\nkiln_event_subscribers "), 25);
  };
  while (subscribers() != "\nkiln_event_subscribers 0" && absl::Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(subscribers(), "\nkiln_event_subscribers 0");
}

TEST_F(WatchTest, StopEndsStreamsWithUnavailable) {
  Reader reader = Watch();
  v1::WatchEventsResponse message;
  ASSERT_TRUE(reader->Read(&message));
  server_->Stop(absl::Seconds(30));
  EXPECT_EQ(End(reader), "UNAVAILABLE STATION_DRAINING");
}

}  // namespace
}  // namespace kiln::api::testing
