#include "daemon/api/import_stream.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/api/caller.h"
#include "daemon/api/methods.h"
#include "daemon/api/rpc_error.h"
#include "daemon/pipeline/messages.h"
#include "errors/error.h"

namespace kiln::api {
namespace {

// Longest text of the header, in bytes.
constexpr size_t kMaxTextBytes = 255;

absl::Status CheckHeader(const v1::ImportBundleHeader& header) {
  if (header.file_name().empty()) return FieldError("header.file_name", "is required");
  const struct {
    const char* field;
    const std::string& value;
  } texts[] = {{"header.request_id", header.request_id()},
               {"header.file_name", header.file_name()},
               {"header.title", header.title()},
               {"header.version", header.version()},
               {"header.chip", header.chip()}};
  for (const auto& text : texts) {
    if (text.value.size() > kMaxTextBytes) {
      return FieldError(text.field, absl::StrCat("must be at most ", kMaxTextBytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AppendBundleEvent(const ApiParts& parts, const firmware::Bundle& bundle) {
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_BUNDLE);
  *event.mutable_bundle() = pipeline::ToMessage(bundle);
  return parts.ledger->AppendEvent(pipeline::DraftOf(event, event.bundle().name())).status();
}

grpc::ServerReadReactor<v1::ImportBundleRequest>* ImportStream::Start(
    const ApiParts& parts, grpc::CallbackServerContext* context, absl::Duration idle_timeout,
    std::atomic<int>& running, v1::ImportBundleResponse* response) {
  const std::shared_ptr<ImportStream> stream(
      new ImportStream(parts, context, idle_timeout, running, response));
  absl::MutexLock lock(&stream->mutex_);
  stream->self_ = stream;
  if (const absl::Status allowed = CheckAllowed(*context, kImportBundle); !allowed.ok()) {
    stream->End(allowed);
  } else if (running.load() > kMaxImports) {
    stream->End(errors::MakeError(errors::ErrorCode::kStationBusy,
                                  "other packages are being imported; try again"));
  } else {
    stream->StartRead(&stream->incoming_);
    stream->Watch(idle_timeout);
  }
  return stream.get();
}

ImportStream::ImportStream(const ApiParts& parts, grpc::CallbackServerContext* context,
                           absl::Duration idle_timeout, std::atomic<int>& running,
                           v1::ImportBundleResponse* response)
    : parts_(parts),
      context_(context),
      running_(running),
      response_(response),
      idle_timeout_(idle_timeout),
      start_(parts.clock->Monotonic()),
      last_message_(start_) {
  ++running_;
}

ImportStream::~ImportStream() {
  if (!ended_) --running_;
}

void ImportStream::OnReadDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  if (ended_) return;
  if (ok) {
    last_message_ = parts_.clock->Monotonic();
    if (const absl::Status status = Accept(incoming_); !status.ok()) return End(status);
    StartRead(&incoming_);
    return;
  }
  receiving_ = false;
  // The client has sent everything, or is gone.
  if (cancelled_ || context_->IsCancelled())
    return End(absl::CancelledError("the client went away"));
  if (!has_header_) return End(FieldError("header", "must be the first message"));
  if (package_.empty()) return End(FieldError("chunk", "the package is empty"));
  if (header_.size_bytes() != 0 && package_.size() != header_.size_bytes()) {
    return End(errors::MakeError(errors::ErrorCode::kBundleInvalid,
                                 absl::StrCat(header_.file_name(), ": ", package_.size(), " of ",
                                              header_.size_bytes(), " bytes arrived")));
  }
  if (!parts_.slow->Post([stream = shared_from_this()] { stream->Import(); })) {
    End(errors::MakeError(errors::ErrorCode::kStationBusy, "too many calls at once"));
  }
}

void ImportStream::Watch(absl::Duration wait) {
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(absl::ToChronoTime(absl::Now() + wait), [weak = weak_from_this()](bool fired) {
    if (!fired) return;
    if (const auto stream = weak.lock(); stream != nullptr) stream->EndIfSilent();
  });
}

void ImportStream::EndIfSilent() {
  absl::MutexLock lock(&mutex_);
  if (ended_ || !receiving_) return;
  const absl::Duration left = last_message_ + idle_timeout_ - parts_.clock->Monotonic();
  if (left > absl::ZeroDuration()) return Watch(left);
  End(errors::MakeError(errors::ErrorCode::kStepTimedOut, "the package stopped arriving"));
}

absl::Status ImportStream::Accept(v1::ImportBundleRequest& message) {
  if (!has_header_) {
    if (!message.has_header()) return FieldError("header", "must be the first message");
    RETURN_IF_ERROR(CheckHeader(message.header()));
    header_ = std::move(*message.mutable_header());
    has_header_ = true;
    return absl::OkStatus();
  }
  if (message.payload_case() != v1::ImportBundleRequest::kChunk) {
    return FieldError("chunk", "every message after the first must be a chunk");
  }
  if (message.chunk().size() > kMaxChunkBytes) {
    return FieldError("chunk", absl::StrCat("must be at most ", kMaxChunkBytes, " bytes"));
  }
  const uint64_t limit = parts_.import_limits.max_package_bytes;
  if (package_.size() + message.chunk().size() > limit) {
    return errors::MakeError(errors::ErrorCode::kBundleTooLarge,
                             absl::StrCat("the package has more than ", limit, " bytes"));
  }
  package_ += message.chunk();
  return absl::OkStatus();
}

void ImportStream::Import() {
  std::string package;
  v1::ImportBundleHeader header;
  {
    absl::MutexLock lock(&mutex_);
    // Asked again: a broken connection may be known as such only after its last read.
    if (cancelled_ || context_->IsCancelled()) {
      return End(absl::CancelledError("the client went away"));
    }
    package = std::move(package_);
    header = header_;
  }
  const auto import = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(
        const firmware::ImportOutcome outcome,
        parts_.bundles->Import(
            package, {header.file_name(), header.title(), header.version(), header.chip()},
            header.validate_only()));
    if (!outcome.already_existed && !header.validate_only()) {
      RETURN_IF_ERROR(AppendBundleEvent(parts_, outcome.bundle));
    }
    *response_->mutable_bundle() = pipeline::ToMessage(outcome.bundle);
    response_->set_already_existed(outcome.already_existed);
    return absl::OkStatus();
  };
  const absl::Status status = import();
  absl::MutexLock lock(&mutex_);
  End(status);
}

void ImportStream::End(const absl::Status& status) {
  ended_ = true;
  package_ = std::string();
  // Before the client knows: its next import must find the place that this one leaves.
  --running_;
  const grpc::Status answer = ToRpcStatus(status);
  parts_.metrics->RpcHandled(kImportBundle, RpcCodeName(answer.error_code()),
                             parts_.clock->Monotonic() - start_);
  Finish(answer);
}

void ImportStream::OnCancel() {
  // A read that is under way ends by itself, with ok = false.
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
}

void ImportStream::OnDone() {
  std::shared_ptr<ImportStream> self;  // both released after the lock
  std::unique_ptr<grpc::Alarm> alarm;
  absl::MutexLock lock(&mutex_);
  alarm = std::move(alarm_);
  self = std::move(self_);
}

}  // namespace kiln::api
