#include "daemon/api/wire/rpc_wire.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/safe_text.h"
#include "errors/failure_message.h"
#include "google/protobuf/any.pb.h"
#include "rpc_status.pb.h"

namespace kiln::rpc {
namespace {

constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";
constexpr char kLocalizedMessageUrl[] = "type.googleapis.com/google.rpc.LocalizedMessage";
constexpr char kFailureUrl[] = "type.googleapis.com/kiln.v1.Failure";

void AddDetail(rpcwire::RpcStatus& status, const char* type_url,
               const google::protobuf::MessageLite& message) {
  google::protobuf::Any& any = *status.add_details();
  any.set_type_url(type_url);
  any.set_value(message.SerializeAsString());
}

std::optional<rpcwire::RpcStatus> ParseDetails(const grpc::Status& status) {
  rpcwire::RpcStatus parsed;
  if (!parsed.ParseFromString(status.error_details())) return std::nullopt;
  return parsed;
}

}  // namespace

v1::Failure FailureFrom(errors::ErrorCode code, absl::string_view detail) {
  return errors::FailureMessage(code, detail, kMaxDetailBytes);
}

grpc::Status EncodeFailure(grpc::StatusCode code, absl::string_view message,
                           const v1::Failure& failure,
                           const std::vector<FieldViolation>& violations) {
  std::string text = SafeText(message, kMaxDetailBytes);
  if (text.empty() && failure.texts_size() > 0) text = failure.texts(0).message();

  rpcwire::RpcStatus status;
  status.set_code(static_cast<int32_t>(code));
  status.set_message(text);

  rpcwire::ErrorInfo info;
  info.set_reason(failure.code());
  info.set_domain(std::string(kErrorDomain));
  (*info.mutable_metadata())["error_class"] = failure.error_class();
  (*info.mutable_metadata())["retryable"] = failure.retryable() ? "true" : "false";
  AddDetail(status, kErrorInfoUrl, info);

  if (!violations.empty()) {
    rpcwire::BadRequest bad_request;
    for (const FieldViolation& violation : violations) {
      auto& added = *bad_request.add_field_violations();
      added.set_field(SafeText(violation.field, 100));
      added.set_description(SafeText(violation.description, 200));
    }
    AddDetail(status, kBadRequestUrl, bad_request);
  }
  for (const v1::FailureText& failure_text : failure.texts()) {
    rpcwire::LocalizedMessage localized;
    localized.set_locale(failure_text.language());
    localized.set_message(failure_text.message());
    AddDetail(status, kLocalizedMessageUrl, localized);
  }
  AddDetail(status, kFailureUrl, failure);
  return grpc::Status(code, text, status.SerializeAsString());
}

absl::StatusOr<v1::Failure> FailureOf(const grpc::Status& status) {
  if (status.error_details().empty()) {
    return absl::NotFoundError("the status carries no details");
  }
  const std::optional<rpcwire::RpcStatus> parsed = ParseDetails(status);
  if (!parsed.has_value()) return absl::InvalidArgumentError("the status details do not parse");
  for (const google::protobuf::Any& any : parsed->details()) {
    if (any.type_url() != kFailureUrl) continue;
    v1::Failure failure;
    if (!failure.ParseFromString(any.value())) {
      return absl::InvalidArgumentError("the failure in the status details does not parse");
    }
    return failure;
  }
  return absl::NotFoundError("the status details hold no kiln.v1.Failure");
}

std::vector<FieldViolation> FieldViolationsOf(const grpc::Status& status) {
  std::vector<FieldViolation> violations;
  const std::optional<rpcwire::RpcStatus> parsed = ParseDetails(status);
  if (!parsed.has_value()) return violations;
  for (const google::protobuf::Any& any : parsed->details()) {
    rpcwire::BadRequest bad_request;
    if (any.type_url() != kBadRequestUrl || !bad_request.ParseFromString(any.value())) continue;
    for (const auto& violation : bad_request.field_violations()) {
      violations.push_back({violation.field(), violation.description()});
    }
  }
  return violations;
}

std::string SafeText(absl::string_view text, size_t max_bytes) {
  return base::SafeText(text, max_bytes);
}

}  // namespace kiln::rpc
