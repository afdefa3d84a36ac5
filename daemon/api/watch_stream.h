#ifndef KILN_DAEMON_API_WATCH_STREAM_H_
#define KILN_DAEMON_API_WATCH_STREAM_H_

#include <cstdint>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/api/api_parts.h"
#include "daemon/api/event_hub.h"
#include "grpcpp/grpcpp.h"
#include "kiln/v1/station.pb.h"

namespace kiln::api {

// One WatchEvents call. Sends a snapshot, or reads the ledger page by page from where the client
// stopped, and then goes over to the hub's live events without gap or repeat: the subscription is
// activated before the last read, and sequence numbers that were sent already are skipped. Never
// more than one message is under way, so a reader that does not read stops only itself.
//
// Owns itself from Start until gRPC's OnDone; work on the pool and the hub's wake keep it alive
// longer. Called by gRPC's threads, the work pool and the hub's thread.
class WatchStream final : public grpc::ServerWriteReactor<v1::WatchEventsResponse>,
                          public std::enable_shared_from_this<WatchStream> {
 public:
  // The reactor gRPC asks for. `parts` must outlive it.
  static grpc::ServerWriteReactor<v1::WatchEventsResponse>* Start(
      const ApiParts& parts, grpc::CallbackServerContext* context,
      const v1::WatchEventsRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  enum class Phase {
    kSnapshot,  // to be read
    kHistory,   // reading the ledger; the subscription is not active yet
    kJoin,      // reading the rest, while live events queue up
    kLive,
  };

  WatchStream(const ApiParts& parts, grpc::CallbackServerContext* context);

  absl::Status Begin(const v1::WatchEventsRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does the next thing, if there is one and nothing is under way.
  void Advance() ABSL_LOCKS_EXCLUDED(mutex_);
  void AdvanceLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendLive() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartLoading() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // On the work pool: fetches the snapshot or the next page.
  void Load() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status LoadSnapshot() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status LoadPage(Phase phase, int64_t position) ABSL_LOCKS_EXCLUDED(mutex_);
  void Send(v1::WatchEventsResponse message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ApiParts& parts_;
  grpc::CallbackServerContext* const context_;
  const absl::Duration start_;
  EventSelection selection_;  // set by Begin
  std::shared_ptr<Subscription> subscription_;

  absl::Mutex mutex_;
  std::shared_ptr<WatchStream> self_ ABSL_GUARDED_BY(mutex_);
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kSnapshot;
  int64_t position_ ABSL_GUARDED_BY(mutex_) = 0;  // everything up to here was sent or filtered
  // Everything up to here was read from the ledger; what was not sent yet is in the outbox.
  int64_t read_position_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<v1::WatchEventsResponse> outbox_ ABSL_GUARDED_BY(mutex_);
  v1::WatchEventsResponse current_ ABSL_GUARDED_BY(mutex_);  // being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool loading_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_WATCH_STREAM_H_
