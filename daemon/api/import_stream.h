#ifndef KILN_DAEMON_API_IMPORT_STREAM_H_
#define KILN_DAEMON_API_IMPORT_STREAM_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/api/api_parts.h"
#include "grpcpp/alarm.h"
#include "grpcpp/grpcpp.h"
#include "kiln/v1/firmware.pb.h"

namespace kiln::api {

// Appends the event that `bundle` was imported or retired.
absl::Status AppendBundleEvent(const ApiParts& parts, const firmware::Bundle& bundle);

// One ImportBundle call: collects the package within its limits, then checks and stores it on the
// slow pool. Refuses at once, without reading on, whatever breaks the order of messages or a limit.
// Owns itself from Start until gRPC's OnDone.
class ImportStream final : public grpc::ServerReadReactor<v1::ImportBundleRequest>,
                           public std::enable_shared_from_this<ImportStream> {
 public:
  // Packages that may arrive at the same time.
  static constexpr int kMaxImports = 2;
  // Longest chunk, as the contract says.
  static constexpr size_t kMaxChunkBytes = size_t{1} << 20;

  // `running` counts the calls of this kind.
  static grpc::ServerReadReactor<v1::ImportBundleRequest>* Start(
      const ApiParts& parts, grpc::CallbackServerContext* context, absl::Duration idle_timeout,
      std::atomic<int>& running, v1::ImportBundleResponse* response);
  ~ImportStream() override;

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  ImportStream(const ApiParts& parts, grpc::CallbackServerContext* context,
               absl::Duration idle_timeout, std::atomic<int>& running,
               v1::ImportBundleResponse* response);

  absl::Status Accept(v1::ImportBundleRequest& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Looks again when the stream may have been silent for the idle timeout.
  void Watch(absl::Duration wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndIfSilent() ABSL_LOCKS_EXCLUDED(mutex_);
  // On the slow pool.
  void Import();
  void End(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ApiParts& parts_;
  grpc::CallbackServerContext* const context_;
  std::atomic<int>& running_;
  v1::ImportBundleResponse* const response_;
  const absl::Duration idle_timeout_;
  const absl::Duration start_;

  absl::Mutex mutex_;
  std::shared_ptr<ImportStream> self_ ABSL_GUARDED_BY(mutex_);
  v1::ImportBundleRequest incoming_;  // gRPC's while a read is under way
  bool has_header_ ABSL_GUARDED_BY(mutex_) = false;
  v1::ImportBundleHeader header_ ABSL_GUARDED_BY(mutex_);
  std::string package_ ABSL_GUARDED_BY(mutex_);
  absl::Duration last_message_ ABSL_GUARDED_BY(mutex_);
  bool receiving_ ABSL_GUARDED_BY(mutex_) = true;
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_IMPORT_STREAM_H_
