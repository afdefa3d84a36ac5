#ifndef KILN_DAEMON_API_BUILD_STREAM_H_
#define KILN_DAEMON_API_BUILD_STREAM_H_

#include <cstddef>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "daemon/api/api_parts.h"
#include "daemon/firmware/build/builder.h"
#include "grpcpp/grpcpp.h"
#include "kiln/v1/firmware.pb.h"

namespace kiln::api {

// One BuildBundle call: builds on the builds pool and streams stages, output and the result. The
// build never waits for the reader: of a reader that does not keep up, lines of output are left out
// and counted. A client that goes away ends the build. Owns itself from Start until gRPC's OnDone.
class BuildStream final : public grpc::ServerWriteReactor<v1::BuildBundleResponse>,
                          public firmware::BuildListener,
                          public std::enable_shared_from_this<BuildStream> {
 public:
  // Messages that may wait for the reader.
  static constexpr size_t kMaxWaiting = 2000;

  static grpc::ServerWriteReactor<v1::BuildBundleResponse>* Start(
      const ApiParts& parts, grpc::CallbackServerContext* context,
      const v1::BuildBundleRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void OnStage(firmware::BuildStage stage) override;
  void OnLog(absl::string_view line) override;

 private:
  explicit BuildStream(const ApiParts& parts);

  absl::Status Begin(const v1::BuildBundleRequest& request);
  // On the builds pool.
  void Build(const firmware::BuildRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<v1::BuildResult> BuildAndRecord(const firmware::BuildRequest& request);
  // Sends what waits, unless a message is under way; ends the call behind the last one.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ApiParts& parts_;
  const absl::Duration start_;
  base::Cancellation cancellation_;

  absl::Mutex mutex_;
  std::shared_ptr<BuildStream> self_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::BuildBundleResponse> waiting_ ABSL_GUARDED_BY(mutex_);
  v1::BuildBundleResponse current_ ABSL_GUARDED_BY(mutex_);  // being written
  size_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool built_ ABSL_GUARDED_BY(mutex_) = false;  // status_ is the build's
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_BUILD_STREAM_H_
