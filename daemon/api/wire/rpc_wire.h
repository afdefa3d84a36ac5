#ifndef KILN_DAEMON_API_WIRE_RPC_WIRE_H_
#define KILN_DAEMON_API_WIRE_RPC_WIRE_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "errors/error.h"
#include "grpcpp/support/status.h"
#include "kiln/v1/errors.pb.h"

// How a failure travels over gRPC: grpc::Status whose details are a google.rpc.Status that holds
// one ErrorInfo, one LocalizedMessage a language, a BadRequest where fields are wrong, and the
// kiln.v1.Failure itself. The daemon writes it, clients read it.
namespace kiln::rpc {

// ErrorInfo's domain.
inline constexpr absl::string_view kErrorDomain = "kiln.v1";

// Longest detail text that is sent, in bytes. gRPC drops responses whose trailers pass 8 KiB, and
// the text travels three times (status, google.rpc.Status, Failure).
inline constexpr size_t kMaxDetailBytes = 500;

// One wrong field of the request: "customer.customer_id", and what is wrong with it.
struct FieldViolation {
  std::string field;
  std::string description;
};

// The catalogue's entry of `code` as a message, with `detail` made safe to send.
v1::Failure FailureFrom(errors::ErrorCode code, absl::string_view detail);

// `code` must not be OK. An empty `message` becomes the failure's English sentence.
grpc::Status EncodeFailure(grpc::StatusCode code, absl::string_view message,
                           const v1::Failure& failure,
                           const std::vector<FieldViolation>& violations);

// The failure in the details of `status`. NOT_FOUND when there is none (an error of gRPC itself, or
// of a server that is not Kiln), INVALID_ARGUMENT when the details do not parse.
absl::StatusOr<v1::Failure> FailureOf(const grpc::Status& status);

// The wrong fields that `status` names; empty without any.
std::vector<FieldViolation> FieldViolationsOf(const grpc::Status& status);

// `text` as valid UTF-8 without control characters, cut at a character boundary to at most
// `max_bytes`; what is not valid becomes '?'.
std::string SafeText(absl::string_view text, size_t max_bytes);

}  // namespace kiln::rpc

#endif  // KILN_DAEMON_API_WIRE_RPC_WIRE_H_
