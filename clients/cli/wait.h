#ifndef KILN_CLIENTS_CLI_WAIT_H_
#define KILN_CLIENTS_CLI_WAIT_H_

#include <string>
#include <vector>

#include "clients/cli/session.h"

namespace kiln::cli {

enum class WaitMode {
  kQuiet,  // nothing until the end
  kShow,   // progress bars or lines
};

// Waits until every deployment in `names` has ended (empty: until none is active), then prints each
// result. kExitOk when all succeeded, kExitDeploymentFailed otherwise.
int WaitForDeployments(Session& session, const std::vector<std::string>& names, WaitMode mode);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_WAIT_H_
