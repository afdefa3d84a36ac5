#include "clients/cli/watcher.h"

#include <algorithm>
#include <functional>
#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "clients/cli/session.h"
#include "kiln/v1/station.pb.h"

namespace kiln::cli {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(2);

bool MayResume(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED ||
         status.error_code() == grpc::StatusCode::OUT_OF_RANGE;
}

}  // namespace

grpc::Status Watch(Session& session, const v1::WatchEventsRequest& request, absl::Duration patience,
                   const std::function<bool(const v1::WatchEventsResponse&)>& take) {
  v1::WatchEventsRequest next = request;
  absl::Time last_message = absl::Now();
  absl::Duration pause = kFirstPause;
  bool told = false;
  for (;;) {
    const std::unique_ptr<grpc::ClientContext> context =
        Session::NewContext(absl::InfiniteDuration());
    const auto reader = session.station().WatchEvents(context.get(), next);
    v1::WatchEventsResponse message;
    while (reader->Read(&message)) {
      last_message = absl::Now();
      pause = kFirstPause;
      told = false;
      if (message.has_event()) next.set_after_sequence(message.event().sequence());
      if (message.has_snapshot()) next.set_after_sequence(message.snapshot().last_sequence());
      if (!take(message)) {
        context->TryCancel();
        // The rest of the stream is of no interest, but must be read out before Finish.
        while (reader->Read(&message)) {
        }
        (void)reader->Finish();
        return grpc::Status::OK;
      }
    }
    grpc::Status status = reader->Finish();
    if (status.ok()) return status;
    if (!MayResume(status) || absl::Now() - last_message > patience) return status;
    if (status.error_code() == grpc::StatusCode::OUT_OF_RANGE) next.clear_after_sequence();
    if (!told) session.err() << session.texts().Get(TextId::kReconnecting) << "\n";
    told = true;
    absl::SleepFor(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace kiln::cli
