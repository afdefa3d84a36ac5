#ifndef KILN_DAEMON_PIPELINE_BOOT_LISTENER_H_
#define KILN_DAEMON_PIPELINE_BOOT_LISTENER_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/pipeline/deployment_context.h"

namespace kiln::pipeline {

// Feeds the context's watcher with what the board says, until it has reported itself, is seen to
// loop, or `limit` has passed. Errors are those of the stream.
absl::Status Listen(DeploymentContext& context, absl::Duration limit);

// The same where the port is the chip's own USB-OTG: it leaves the bus with the reset into the
// program, and the program brings it back, perhaps as another product. The port is opened again
// without a reset, each time that it comes back within the replug window; that time is not counted
// as listening. What is there afterwards is looked at before it is listened to: another kind of
// port, or a loader, sends the deployment back to connect (BoardUnplugged and `connect_again`),
// where it shows which board that is.
//
// Where no report is required, the board must have left its loader and come back as its program,
// once: whoever leaves again is unplugged as any other board. With a check by network to come, the
// program needs no USB: then OK with the session closed says that the board did not come back.
// Whether it came back under the deployment's MAC is left in the context's `returned_by_name`.
//
// BoardDidNotBoot when it never left its loader (no report required), did not come back, came back
// in its loader twice, or left again and again.
absl::Status ListenAcrossReset(DeploymentContext& context, absl::Duration limit);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_BOOT_LISTENER_H_
