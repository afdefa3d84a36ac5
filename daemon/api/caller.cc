#include "daemon/api/caller.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "daemon/api/methods.h"
#include "daemon/api/wire/rpc_wire.h"
#include "errors/error.h"

namespace kiln::api {
namespace {

// Longest actor in an audit event, in bytes.
constexpr size_t kMaxActorBytes = 100;

struct Entry {
  absl::string_view method;
  Role role;
};

// Looking is for everybody, work on boards for operators, what changes the station for admins.
constexpr Entry kRoles[] = {
    {kGetStation, Role::kViewer},         {kGetHealth, Role::kViewer},
    {kGetStatistics, Role::kViewer},      {kWatchEvents, Role::kViewer},
    {kListEvents, Role::kViewer},         {kListBoards, Role::kViewer},
    {kGetBoard, Role::kViewer},           {kGetDeployment, Role::kViewer},
    {kListDeployments, Role::kViewer},    {kGetBatch, Role::kViewer},
    {kListBatches, Role::kViewer},        {kListBatchSlots, Role::kViewer},
    {kListBundles, Role::kViewer},        {kGetBundle, Role::kViewer},
    {kIdentifyBoard, Role::kOperator},    {kPowerCycleBoard, Role::kOperator},
    {kCreateDeployment, Role::kOperator}, {kCancelDeployment, Role::kOperator},
    {kRetryDeployment, Role::kOperator},  {kRevealCredentials, Role::kOperator},
    {kGetRecord, Role::kOperator},        {kCreateBatch, Role::kOperator},
    {kPauseBatch, Role::kOperator},       {kResumeBatch, Role::kOperator},
    {kEndBatch, Role::kOperator},         {kAllowBatchBoard, Role::kOperator},
    {kImportBundle, Role::kAdmin},        {kBuildBundle, Role::kAdmin},
    {kRetireBundle, Role::kAdmin},        {kVerifyLedger, Role::kAdmin},
};

absl::string_view NameOf(Role role) {
  constexpr absl::string_view kNames[] = {"", "viewer", "operator", "admin"};
  return kNames[static_cast<int>(role)];
}

absl::StatusOr<Role> ParseRole(absl::string_view name) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (name == NameOf(role)) return role;
  }
  return errors::MakeError(
      errors::ErrorCode::kNotAllowed,
      absl::StrCat("there is no role \"", rpc::SafeText(name, kMaxActorBytes), "\""));
}

// The name in the client's certificate, or "local".
std::string PeerName(const grpc::CallbackServerContext& context) {
  const auto auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) return "local";
  std::vector<std::string> names;
  for (const grpc::string_ref& name : auth->GetPeerIdentity()) {
    names.emplace_back(name.data(), name.size());
  }
  return names.empty() ? "local" : rpc::SafeText(absl::StrJoin(names, ","), kMaxActorBytes);
}

}  // namespace

absl::StatusOr<Caller> CallerOf(const grpc::CallbackServerContext& context) {
  Caller caller;
  caller.actor = PeerName(context);
  const auto& metadata = context.client_metadata();
  const auto roles = metadata.equal_range(kRoleMetadata);
  if (roles.first != roles.second) {
    if (std::next(roles.first) != roles.second) {
      return errors::MakeError(errors::ErrorCode::kNotAllowed, "a call has one role");
    }
    const grpc::string_ref& role = roles.first->second;
    ASSIGN_OR_RETURN(caller.role, ParseRole(std::string(role.data(), role.size())));
  }
  const auto actor = metadata.find(kActorMetadata);
  if (actor != metadata.end() && !actor->second.empty()) {
    const std::string name =
        rpc::SafeText(std::string(actor->second.data(), actor->second.size()), kMaxActorBytes);
    caller.actor = caller.actor == "local" ? name : absl::StrCat(name, " via ", caller.actor);
  }
  return caller;
}

std::optional<Role> RoleNeededFor(absl::string_view method) {
  for (const Entry& entry : kRoles) {
    if (entry.method == method) return entry.role;
  }
  return std::nullopt;
}

absl::Status CheckAllowed(const grpc::CallbackServerContext& context, absl::string_view method) {
  ASSIGN_OR_RETURN(const Caller caller, CallerOf(context));
  const Role needed = RoleNeededFor(method).value_or(Role::kAdmin);
  if (caller.role >= needed) return absl::OkStatus();
  return errors::MakeError(errors::ErrorCode::kNotAllowed,
                           absl::StrCat(method, " is for the role ", NameOf(needed)));
}

}  // namespace kiln::api
