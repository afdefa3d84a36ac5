#ifndef KILN_DAEMON_API_RPC_ERROR_H_
#define KILN_DAEMON_API_RPC_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/status.h"

namespace kiln::api {

// RequestInvalid about one field of the request ("customer.customer_id"); the client finds the
// field again in the BadRequest details.
absl::Status FieldError(absl::string_view field, absl::string_view description);

// The status as gRPC carries it, with the details described in daemon/api/wire/rpc_wire.h. OK stays
// OK.
grpc::Status ToRpcStatus(const absl::Status& status);

// "NOT_FOUND", as metrics and logs name it.
absl::string_view RpcCodeName(grpc::StatusCode code);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_RPC_ERROR_H_
