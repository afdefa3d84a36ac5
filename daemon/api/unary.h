#ifndef KILN_DAEMON_API_UNARY_H_
#define KILN_DAEMON_API_UNARY_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/api/api_parts.h"
#include "daemon/api/caller.h"
#include "daemon/api/rpc_error.h"
#include "errors/error.h"
#include "grpcpp/grpcpp.h"

namespace kiln::api {

// Ends a call with an error before anything is done for it, and counts it.
inline grpc::ServerUnaryReactor* Refuse(const ApiParts& parts, grpc::CallbackServerContext* context,
                                        const char* method, const absl::Status& status) {
  const grpc::Status answer = ToRpcStatus(status);
  parts.metrics->RpcHandled(method, RpcCodeName(answer.error_code()), absl::ZeroDuration());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(answer);
  return reactor;
}

// Answers one unary call: checks the caller's role, runs `call` on `pool`, copies its value into
// `response`, maps its error, and counts the call as `method` ("kiln.v1.Boards/ListBoards").
// `response` and what `call` refers to of the request live until the reactor is finished, as gRPC
// guarantees.
template <typename Response>
grpc::ServerUnaryReactor* Answer(const ApiParts& parts, WorkPool& pool,
                                 grpc::CallbackServerContext* context, const char* method,
                                 Response* response,
                                 std::function<absl::StatusOr<Response>()> call) {
  if (const absl::Status allowed = CheckAllowed(*context, method); !allowed.ok()) {
    return Refuse(parts, context, method, allowed);
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Duration start = parts.clock->Monotonic();
  const auto finish = [&parts, method, start, reactor](const absl::Status& status) {
    const grpc::Status answer = ToRpcStatus(status);
    parts.metrics->RpcHandled(method, RpcCodeName(answer.error_code()),
                              parts.clock->Monotonic() - start);
    reactor->Finish(answer);
  };
  const bool posted = pool.Post([finish, response, call = std::move(call)] {
    absl::StatusOr<Response> result = call();
    if (result.ok()) *response = std::move(*result);
    finish(result.status());
  });
  if (!posted) {
    finish(errors::MakeError(errors::ErrorCode::kStationBusy, "too many calls at once"));
  }
  return reactor;
}

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_UNARY_H_
