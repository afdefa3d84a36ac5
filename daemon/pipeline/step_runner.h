#ifndef KILN_DAEMON_PIPELINE_STEP_RUNNER_H_
#define KILN_DAEMON_PIPELINE_STEP_RUNNER_H_

#include "absl/status/status.h"
#include "daemon/pipeline/deployment_context.h"
#include "kiln/v1/deployments.pb.h"

namespace kiln::pipeline {

// How a run ended.
enum class RunEnd {
  kSucceeded,
  kFailed,
  kNeedsAttention,  // the board there is not the board this deployment belongs to
  kStopped,         // `stop` was set: the caller knows whether by an operator or by a drain
  kGivenBack,       // the board there is not for this deployment, which waits for another one
  kHalted,          // a test's crash: nothing more may be written
};

struct RunOutcome {
  RunEnd end = RunEnd::kSucceeded;
  absl::Status status;  // why it failed
  v1::Step step = v1::STEP_UNSPECIFIED;
  // The ledger did not take the entry of the first step: the deployment still waits.
  bool not_begun = false;
};

// Walks the step table for one deployment. Every step goes through here, so that none can forget
// what all owe: its entry is in the ledger before its code runs, with what the step before it found
// out; it has a deadline; its errors are typed; an unplugged board gets its chance to come back.
// What comes out is not stored: that is the worker's part, which must not give up on it.
RunOutcome RunSteps(DeploymentContext& context);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_STEP_RUNNER_H_
