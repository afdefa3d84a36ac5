#include "clients/cli/session.h"

#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <memory>
#include <ostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "clients/cli/exit_code.h"
#include "daemon/api/wire/rpc_wire.h"
#include "errors/error.h"

namespace kiln::cli {
namespace {

// What the station said, or what can be told without it.
v1::Failure FailureIn(const grpc::Status& status) {
  if (absl::StatusOr<v1::Failure> failure = rpc::FailureOf(status); failure.ok()) {
    return *std::move(failure);
  }
  const bool unreachable = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                           status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  return rpc::FailureFrom(
      unreachable ? errors::ErrorCode::kStationUnreachable : errors::ErrorCode::kInternal,
      status.error_message());
}

}  // namespace

Session::Session(const Options& options, std::ostream& out, std::ostream& err)
    : options_(options), texts_(options.language), out_(out), err_(err) {
  const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateChannel(options.address, grpc::InsecureChannelCredentials());
  station_ = v1::Station::NewStub(channel);
  boards_ = v1::Boards::NewStub(channel);
  deployments_ = v1::Deployments::NewStub(channel);
  batches_ = v1::Batches::NewStub(channel);
  firmware_ = v1::Firmware::NewStub(channel);
}

std::unique_ptr<grpc::ClientContext> Session::NewContext(absl::Duration timeout) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (timeout != absl::InfiniteDuration()) {
    context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  }
  return context;
}

void Session::PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (google::protobuf::util::MessageToJsonString(message, &json, options).ok()) {
    out_ << json << "\n";
    out_.flush();
  }
}

int Session::Fail(const grpc::Status& status) {
  return Fail(FailureIn(status), ExitCodeOf(status));
}

int Session::Fail(const v1::Failure& failure, int exit_code) {
  if (options_.json) {
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    std::string json;
    if (google::protobuf::util::MessageToJsonString(failure, &json, options).ok()) {
      err_ << json << "\n";
    }
  } else {
    err_ << DescribeFailure(failure, texts_);
  }
  return exit_code;
}

std::string DescribeFailure(const v1::Failure& failure, const Texts& texts) {
  const absl::string_view wanted = texts.language() == Language::kThai ? "th" : "en";
  const v1::FailureText* text = nullptr;
  for (const v1::FailureText& candidate : failure.texts()) {
    if (text == nullptr || candidate.language() == wanted) text = &candidate;
  }
  std::string result = absl::StrCat(failure.icon(), " ", text == nullptr ? "" : text->message(),
                                    " [", failure.code(), "]\n");
  if (!failure.detail().empty()) {
    absl::StrAppend(&result, texts.Get(TextId::kDetails), " ", failure.detail(), "\n");
  }
  if (text != nullptr && text->tips_size() > 0) {
    absl::StrAppend(&result, texts.Get(TextId::kWhatToTry), "\n");
    for (const std::string& tip : text->tips()) absl::StrAppend(&result, "  • ", tip, "\n");
  }
  return result;
}

int ExitCodeOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return kExitOk;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return kExitUnreachable;
    case grpc::StatusCode::NOT_FOUND:
      return kExitNotFound;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::ABORTED:
      return kExitRefused;
    default:
      return kExitInternal;
  }
}

std::string ResourceName(absl::string_view collection, absl::string_view name_or_id) {
  const std::string prefix = absl::StrCat(collection, "/");
  return absl::StartsWith(name_or_id, prefix) ? std::string(name_or_id)
                                              : absl::StrCat(prefix, name_or_id);
}

std::string IdOf(absl::string_view name) {
  const size_t slash = name.find('/');
  return std::string(slash == absl::string_view::npos ? name : name.substr(slash + 1));
}

}  // namespace kiln::cli
