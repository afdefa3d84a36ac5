#include "daemon/api/watch_stream.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/api/caller.h"
#include "daemon/api/methods.h"
#include "daemon/api/rpc_error.h"
#include "daemon/api/snapshot.h"
#include "daemon/pipeline/messages.h"
#include "errors/error.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::api {
namespace {

// Events read from the ledger at a time.
constexpr int kPageSize = 200;
constexpr absl::Duration kDefaultHeartbeat = absl::Seconds(10);

absl::StatusOr<absl::Duration> HeartbeatInterval(const v1::WatchEventsRequest& request) {
  if (!request.has_heartbeat_interval()) return kDefaultHeartbeat;
  const absl::Duration interval = absl::Seconds(request.heartbeat_interval().seconds()) +
                                  absl::Nanoseconds(request.heartbeat_interval().nanos());
  if (interval < absl::Seconds(1) || interval > absl::Seconds(60)) {
    return FieldError("heartbeat_interval", "must be from 1 s to 60 s");
  }
  return interval;
}

}  // namespace

grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchStream::Start(
    const ApiParts& parts, grpc::CallbackServerContext* context,
    const v1::WatchEventsRequest& request) {
  const std::shared_ptr<WatchStream> stream(new WatchStream(parts, context));
  {
    absl::MutexLock lock(&stream->mutex_);
    stream->self_ = stream;
  }
  // The client learns at once that the stream is open.
  stream->StartSendInitialMetadata();
  absl::Status status = CheckAllowed(*context, kWatchEvents);
  if (status.ok()) status = stream->Begin(request);
  if (!status.ok()) {
    absl::MutexLock lock(&stream->mutex_);
    stream->End(status);
  } else {
    stream->Advance();
  }
  return stream.get();
}

WatchStream::WatchStream(const ApiParts& parts, grpc::CallbackServerContext* context)
    : parts_(parts), context_(context), start_(parts.clock->Monotonic()) {}

absl::Status WatchStream::Begin(const v1::WatchEventsRequest& request) {
  ASSIGN_OR_RETURN(selection_, SelectionOf(request.filter()));
  ASSIGN_OR_RETURN(const absl::Duration heartbeat, HeartbeatInterval(request));
  const std::weak_ptr<WatchStream> weak = weak_from_this();
  subscription_ = parts_.hub->Subscribe(selection_, heartbeat, [weak] {
    if (const auto stream = weak.lock(); stream != nullptr) stream->Advance();
  });
  absl::MutexLock lock(&mutex_);
  if (request.has_after_sequence()) {
    if (request.after_sequence() < 0) {
      return FieldError("after_sequence", "must not be negative");
    }
    phase_ = Phase::kHistory;
    position_ = read_position_ = request.after_sequence();
  } else {
    subscription_->Activate();
  }
  return absl::OkStatus();
}

void WatchStream::Advance() {
  absl::MutexLock lock(&mutex_);
  AdvanceLocked();
}

void WatchStream::AdvanceLocked() {
  if (ended_) return;
  const Subscription::State state = subscription_->state();
  if (writing_) {
    // The reader takes nothing: without this its connection would hold the message for ever. When
    // the hub closes, the message under way may still end well; the server's own deadline bounds
    // it.
    if (state == Subscription::State::kAbandoned) context_->TryCancel();
    return;
  }
  if (cancelled_) {
    End(absl::CancelledError("the client went away"));
  } else if (state == Subscription::State::kClosed) {
    End(errors::MakeError(errors::ErrorCode::kStationDraining, "the station is stopping"));
  } else if (state != Subscription::State::kOpen) {
    End(errors::MakeError(errors::ErrorCode::kReaderTooSlow,
                          absl::StrCat("resume after sequence ", position_)));
  } else if (!outbox_.empty()) {
    v1::WatchEventsResponse next = std::move(outbox_.front());
    outbox_.pop_front();
    Send(std::move(next));
  } else if (phase_ == Phase::kLive) {
    SendLive();
  } else if (!loading_) {
    StartLoading();
  }
}

void WatchStream::SendLive() {
  while (true) {
    Subscription::Item item = subscription_->Take();
    v1::WatchEventsResponse message;
    switch (item.kind) {
      case Subscription::Item::Kind::kNothing:
        return;
      case Subscription::Item::Kind::kEvent: {
        if (item.event->sequence <= read_position_) continue;  // read from the ledger already
        absl::StatusOr<v1::Event> event = pipeline::ToMessage(*item.event);
        if (!event.ok()) return End(event.status());
        *message.mutable_event() = *std::move(event);
        break;
      }
      case Subscription::Item::Kind::kProgress:
        *message.mutable_progress() = std::move(item.progress);
        break;
      case Subscription::Item::Kind::kHeartbeat:
        message.mutable_heartbeat()->set_last_sequence(item.last_sequence);
        *message.mutable_heartbeat()->mutable_time() =
            google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(
                absl::ToUnixMicros(parts_.clock->Now()));
        break;
    }
    return Send(std::move(message));
  }
}

void WatchStream::StartLoading() {
  loading_ = true;
  if (!parts_.quick->Post([stream = shared_from_this()] { stream->Load(); })) {
    End(errors::MakeError(errors::ErrorCode::kStationBusy, "too many calls at once"));
  }
}

void WatchStream::Load() {
  Phase phase;
  int64_t position;
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    phase = phase_;
    position = read_position_;
  }
  const absl::Status status =
      phase == Phase::kSnapshot ? LoadSnapshot() : LoadPage(phase, position);
  absl::MutexLock lock(&mutex_);
  loading_ = false;
  if (ended_) return;
  if (!status.ok()) return End(status);
  AdvanceLocked();
}

absl::Status WatchStream::LoadSnapshot() {
  v1::WatchEventsResponse message;
  ASSIGN_OR_RETURN(*message.mutable_snapshot(), TakeSnapshot(parts_, selection_));
  absl::MutexLock lock(&mutex_);
  read_position_ = message.snapshot().last_sequence();
  phase_ = Phase::kLive;
  outbox_.push_back(std::move(message));
  return absl::OkStatus();
}

absl::Status WatchStream::LoadPage(Phase phase, int64_t position) {
  ASSIGN_OR_RETURN(const int64_t first, parts_.ledger->FirstSequence());
  ASSIGN_OR_RETURN(const int64_t last, parts_.ledger->LastSequence());
  if (position < first - 1 || position > last) {
    return errors::MakeError(
        errors::ErrorCode::kSequenceOutOfRange,
        absl::StrCat("after_sequence ", position, " is outside of ", first - 1, " to ", last));
  }
  storage::EventQuery query;
  query.after_sequence = position;
  query.kinds = selection_.kinds;
  query.subject = selection_.subject;
  query.limit = kPageSize;
  ASSIGN_OR_RETURN(const std::vector<storage::EventRecord> page, parts_.ledger->ListEvents(query));
  std::deque<v1::WatchEventsResponse> messages;
  for (const storage::EventRecord& record : page) {
    ASSIGN_OR_RETURN(*messages.emplace_back().mutable_event(), pipeline::ToMessage(record));
  }
  const bool caught_up = page.size() < static_cast<size_t>(kPageSize);
  // From here on nothing that is committed is missed; one more read fetches what was committed
  // since the last one.
  if (caught_up && phase == Phase::kHistory) subscription_->Activate();

  absl::MutexLock lock(&mutex_);
  if (!page.empty()) read_position_ = page.back().sequence;
  outbox_ = std::move(messages);
  if (caught_up) phase_ = phase == Phase::kHistory ? Phase::kJoin : Phase::kLive;
  return absl::OkStatus();
}

void WatchStream::Send(v1::WatchEventsResponse message) {
  current_ = std::move(message);
  if (current_.has_event()) position_ = current_.event().sequence();
  if (current_.has_snapshot()) position_ = current_.snapshot().last_sequence();
  writing_ = true;
  StartWrite(&current_);
}

void WatchStream::End(const absl::Status& status) {
  ended_ = true;
  outbox_.clear();
  const grpc::Status answer = ToRpcStatus(status);
  parts_.metrics->RpcHandled(kWatchEvents, RpcCodeName(answer.error_code()),
                             parts_.clock->Monotonic() - start_);
  Finish(answer);
}

void WatchStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  if (!ok) cancelled_ = true;
  AdvanceLocked();
}

void WatchStream::OnCancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  AdvanceLocked();
}

void WatchStream::OnDone() {
  std::shared_ptr<WatchStream> self;  // released after the lock
  absl::MutexLock lock(&mutex_);
  self = std::move(self_);
}

}  // namespace kiln::api
