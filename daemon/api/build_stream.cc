#include "daemon/api/build_stream.h"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "daemon/api/caller.h"
#include "daemon/api/import_stream.h"
#include "daemon/api/methods.h"
#include "daemon/api/resource_name.h"
#include "daemon/api/rpc_error.h"
#include "daemon/pipeline/messages.h"
#include "errors/error.h"

namespace kiln::api {
namespace {

// Longest text of the request, in bytes, and the most values.
constexpr size_t kMaxTextBytes = 255;
constexpr int kMaxValues = 100;
constexpr size_t kMaxValueBytes = 1024;

absl::Status CheckRequest(const v1::BuildBundleRequest& request) {
  const struct {
    const char* field;
    const std::string& value;
  } texts[] = {{"request_id", request.request_id()},
               {"template_name", request.template_name()},
               {"title", request.title()},
               {"version", request.version()}};
  for (const auto& text : texts) {
    if (text.value.size() > kMaxTextBytes) {
      return FieldError(text.field, absl::StrCat("must be at most ", kMaxTextBytes, " bytes"));
    }
  }
  if (request.template_().empty()) return FieldError("template", "is required");
  if (request.template_().size() > firmware::Builder::kMaxTemplateBytes) {
    return FieldError("template", absl::StrCat("must be at most ",
                                               firmware::Builder::kMaxTemplateBytes, " bytes"));
  }
  if (request.values_size() > kMaxValues) {
    return FieldError("values", absl::StrCat("must be at most ", kMaxValues));
  }
  for (const auto& [name, value] : request.values()) {
    if (name.size() > kMaxTextBytes || value.size() > kMaxValueBytes) {
      return FieldError("values", "a name or a value is too long");
    }
  }
  return absl::OkStatus();
}

v1::BuildStage ToMessage(firmware::BuildStage stage) {
  switch (stage) {
    case firmware::BuildStage::kPrepare:
      return v1::BUILD_STAGE_PREPARE;
    case firmware::BuildStage::kBuild:
      return v1::BUILD_STAGE_BUILD;
    case firmware::BuildStage::kImport:
      return v1::BUILD_STAGE_IMPORT;
  }
  return v1::BUILD_STAGE_UNSPECIFIED;
}

}  // namespace

grpc::ServerWriteReactor<v1::BuildBundleResponse>* BuildStream::Start(
    const ApiParts& parts, grpc::CallbackServerContext* context,
    const v1::BuildBundleRequest& request) {
  const std::shared_ptr<BuildStream> stream(new BuildStream(parts));
  {
    absl::MutexLock lock(&stream->mutex_);
    stream->self_ = stream;
  }
  absl::Status status = CheckAllowed(*context, kBuildBundle);
  if (status.ok()) status = stream->Begin(request);
  if (!status.ok()) {
    absl::MutexLock lock(&stream->mutex_);
    stream->built_ = true;
    stream->status_ = status;
    stream->Advance();
  }
  return stream.get();
}

BuildStream::BuildStream(const ApiParts& parts) : parts_(parts), start_(parts.clock->Monotonic()) {}

absl::Status BuildStream::Begin(const v1::BuildBundleRequest& request) {
  RETURN_IF_ERROR(CheckRequest(request));
  if (parts_.builder == nullptr) {
    return errors::MakeError(errors::ErrorCode::kBuilderUnavailable, "there is no builder");
  }
  firmware::BuildRequest build;
  build.package = request.template_();
  build.name = request.template_name();
  build.values = {request.values().begin(), request.values().end()};
  build.title = request.title();
  build.version = request.version();
  build.use_cache = !request.ignore_cache();
  if (!request.base_bundle().empty()) {
    ASSIGN_OR_RETURN(build.base_bundle, BundleIdOf(request.base_bundle(), "base_bundle"));
  }
  const bool posted = parts_.builds->Post(
      [stream = shared_from_this(), build = std::move(build)] { stream->Build(build); });
  if (!posted) {
    return errors::MakeError(errors::ErrorCode::kStationBusy,
                             "other firmware is being built; try again");
  }
  return absl::OkStatus();
}

void BuildStream::Build(const firmware::BuildRequest& request) {
  absl::StatusOr<v1::BuildResult> result = BuildAndRecord(request);
  absl::MutexLock lock(&mutex_);
  if (result.ok()) *waiting_.emplace_back().mutable_result() = std::move(*result);
  built_ = true;
  status_ = result.status();
  Advance();
}

absl::StatusOr<v1::BuildResult> BuildStream::BuildAndRecord(const firmware::BuildRequest& request) {
  // It may have waited for its turn.
  RETURN_IF_ERROR(cancellation_.Check());
  ASSIGN_OR_RETURN(const firmware::BuildOutcome outcome,
                   parts_.builder->Build(request, *this, cancellation_));
  if (!outcome.already_existed) {
    RETURN_IF_ERROR(AppendBundleEvent(parts_, outcome.bundle));
  }
  v1::BuildResult result;
  *result.mutable_bundle() = pipeline::ToMessage(outcome.bundle);
  result.set_already_existed(outcome.already_existed);
  result.set_from_cache(outcome.from_cache);
  return result;
}

void BuildStream::OnStage(firmware::BuildStage stage) {
  absl::MutexLock lock(&mutex_);
  waiting_.emplace_back().set_stage(ToMessage(stage));
  Advance();
}

void BuildStream::OnLog(absl::string_view line) {
  absl::MutexLock lock(&mutex_);
  if (waiting_.size() >= kMaxWaiting) {
    ++left_out_;
    return;
  }
  if (left_out_ > 0) {
    waiting_.emplace_back().set_log_line(absl::StrCat("(", left_out_, " lines left out)"));
    left_out_ = 0;
  }
  waiting_.emplace_back().set_log_line(std::string(line));
  Advance();
}

void BuildStream::Advance() {
  if (ended_ || writing_) return;
  if (!waiting_.empty() && !cancellation_.IsCancelled()) {
    current_ = std::move(waiting_.front());
    waiting_.pop_front();
    writing_ = true;
    StartWrite(&current_);
    return;
  }
  if (!built_) return;
  ended_ = true;
  const grpc::Status answer = ToRpcStatus(status_);
  parts_.metrics->RpcHandled(kBuildBundle, RpcCodeName(answer.error_code()),
                             parts_.clock->Monotonic() - start_);
  Finish(answer);
}

void BuildStream::OnWriteDone(bool ok) {
  if (!ok) cancellation_.Cancel("the client went away");
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  Advance();
}

void BuildStream::OnCancel() {
  cancellation_.Cancel("the client went away");
  absl::MutexLock lock(&mutex_);
  Advance();
}

void BuildStream::OnDone() {
  std::shared_ptr<BuildStream> self;  // released after the lock
  absl::MutexLock lock(&mutex_);
  self = std::move(self_);
}

}  // namespace kiln::api
