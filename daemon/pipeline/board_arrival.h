#ifndef KILN_DAEMON_PIPELINE_BOARD_ARRIVAL_H_
#define KILN_DAEMON_PIPELINE_BOARD_ARRIVAL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/boards/registry.h"
#include "daemon/pipeline/deployment_context.h"

namespace kiln::pipeline {

// Opens whatever board is at the deployment's port now, without touching it; tried again for a
// moment while the system still works on one that has just come. The session's arrival is that
// board's also when this fails. Errors are those of StreamOpener and Registry.
absl::Status OpenSession(DeploymentContext& context);

// Waits at most `limit` until a board that can be used is at the deployment's port and came after
// the arrival `before`, or has stayed there for two seconds: then it was disturbed, and not pulled.
// BoardUnplugged when none does, CANCELLED when the deployment is stopped.
absl::StatusOr<boards::BoardInfo> AwaitArrival(DeploymentContext& context, uint64_t before,
                                               absl::Duration limit);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_BOARD_ARRIVAL_H_
