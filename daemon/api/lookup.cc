#include "daemon/api/lookup.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "daemon/api/resource_name.h"
#include "daemon/pipeline/messages.h"
#include "errors/error.h"

namespace kiln::api {

absl::StatusOr<storage::Deployment> FindDeployment(const ApiParts& parts, const std::string& name) {
  ASSIGN_OR_RETURN(const std::string id, ParseResourceName(name, "deployments"));
  absl::StatusOr<storage::Deployment> deployment = parts.ledger->GetDeployment(id);
  if (absl::IsNotFound(deployment.status())) {
    return errors::TypedAs(errors::ErrorCode::kDeploymentNotFound, deployment.status());
  }
  return deployment;
}

absl::StatusOr<boards::BoardInfo> FindBoard(const ApiParts& parts, const std::string& name) {
  ASSIGN_OR_RETURN(const std::string port, ParseResourceName(name, "boards"));
  return parts.boards->Get(port);
}

v1::Board BoardMessage(const ApiParts& parts, const boards::BoardInfo& board) {
  return pipeline::ToMessage(board, parts.scheduler->RunningOn(board.port));
}

}  // namespace kiln::api
