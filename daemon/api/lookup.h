#ifndef KILN_DAEMON_API_LOOKUP_H_
#define KILN_DAEMON_API_LOOKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "daemon/api/api_parts.h"
#include "kiln/v1/boards.pb.h"
#include "storage/ledger.h"

namespace kiln::api {

// The deployment of the resource name `name`; RequestInvalid or DeploymentNotFound.
absl::StatusOr<storage::Deployment> FindDeployment(const ApiParts& parts, const std::string& name);

// The board of the resource name `name`, by port or alias; RequestInvalid or PortNotFound.
absl::StatusOr<boards::BoardInfo> FindBoard(const ApiParts& parts, const std::string& name);

// `board` as a message, with the deployment that uses its port.
v1::Board BoardMessage(const ApiParts& parts, const boards::BoardInfo& board);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_LOOKUP_H_
