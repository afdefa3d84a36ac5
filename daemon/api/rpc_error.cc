#include "daemon/api/rpc_error.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/api/wire/rpc_wire.h"
#include "errors/error.h"

namespace kiln::api {
namespace {

// Payload: the field's path, a newline, the description.
constexpr absl::string_view kFieldUrl = "kiln.v1/field";

std::vector<rpc::FieldViolation> ViolationsOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kFieldUrl);
  if (!payload.has_value()) return {};
  const std::string text(*payload);
  const size_t newline = text.find('\n');
  return {{text.substr(0, newline), text.substr(newline + 1)}};
}

// What the person is told of a status that nobody typed.
errors::ErrorCode CodeFor(const absl::Status& status) {
  const errors::ErrorCode code = errors::CodeOf(status);
  if (code == errors::ErrorCode::kInternal && absl::IsInvalidArgument(status)) {
    return errors::ErrorCode::kRequestInvalid;
  }
  return code;
}

}  // namespace

absl::Status FieldError(absl::string_view field, absl::string_view description) {
  absl::Status status =
      errors::MakeError(errors::ErrorCode::kRequestInvalid, absl::StrCat(field, ": ", description));
  status.SetPayload(kFieldUrl, absl::Cord(absl::StrCat(field, "\n", description)));
  return status;
}

grpc::Status ToRpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const v1::Failure failure = rpc::FailureFrom(CodeFor(status), status.message());
  // gRPC's and Abseil's canonical codes share their numbers.
  return rpc::EncodeFailure(static_cast<grpc::StatusCode>(status.code()), status.message(), failure,
                            ViolationsOf(status));
}

absl::string_view RpcCodeName(grpc::StatusCode code) {
  static constexpr absl::string_view kNames[] = {"OK",
                                                 "CANCELLED",
                                                 "UNKNOWN",
                                                 "INVALID_ARGUMENT",
                                                 "DEADLINE_EXCEEDED",
                                                 "NOT_FOUND",
                                                 "ALREADY_EXISTS",
                                                 "PERMISSION_DENIED",
                                                 "RESOURCE_EXHAUSTED",
                                                 "FAILED_PRECONDITION",
                                                 "ABORTED",
                                                 "OUT_OF_RANGE",
                                                 "UNIMPLEMENTED",
                                                 "INTERNAL",
                                                 "UNAVAILABLE",
                                                 "DATA_LOSS",
                                                 "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

}  // namespace kiln::api
