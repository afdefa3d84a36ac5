#ifndef KILN_DAEMON_API_CALLER_H_
#define KILN_DAEMON_API_CALLER_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "grpcpp/server_context.h"

namespace kiln::api {

// What a caller may do; each role may do what the ones before it may.
enum class Role { kViewer = 1, kOperator = 2, kAdmin = 3 };

// Metadata by which a gateway, which signs people in itself, restricts a call and names who asked.
inline constexpr char kRoleMetadata[] = "kiln-role";    // "viewer", "operator" or "admin"
inline constexpr char kActorMetadata[] = "kiln-actor";  // at most 100 bytes are kept

// Who makes a call.
struct Caller {
  Role role = Role::kAdmin;
  // For audit events. "local" for whoever may open the socket (gRPC does not pass on the
  // credentials of its peer), or the name in the client's certificate; a gateway's "kiln-actor"
  // replaces the one and stands before the other.
  std::string actor;
};

// Whoever may connect at all is trusted as admin unless the metadata say less. NotAllowed for a
// role that does not exist or is named twice.
absl::StatusOr<Caller> CallerOf(const grpc::CallbackServerContext& context);

// The role that `method` ("kiln.v1.Boards/ListBoards") needs; nothing for a method without an
// entry.
std::optional<Role> RoleNeededFor(absl::string_view method);

// NotAllowed when the caller's role does not suffice. A method without an entry is for admins.
absl::Status CheckAllowed(const grpc::CallbackServerContext& context, absl::string_view method);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_CALLER_H_
