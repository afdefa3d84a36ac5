#include "daemon/pipeline/recovery.h"

#include "daemon/pipeline/step.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

using storage::DeploymentState;

RecoveryDecision DecideRecovery(const storage::Deployment& row, bool restored) {
  RecoveryDecision decision;
  // A row whose details do not parse has lost only its finished steps: doing them again is safe.
  if (!decision.details.ParseFromString(row.details)) decision.details.Clear();
  switch (row.state) {
    case DeploymentState::kSucceeded:
    case DeploymentState::kFailed:
    case DeploymentState::kCanceled:
    case DeploymentState::kNeedsAttention:
      return decision;
    case DeploymentState::kPending:
    case DeploymentState::kRunning:
      break;
  }
  const bool interrupted = decision.details.interrupted();
  decision.reenter = PrepareReentry(decision.details, Interruption::kRestart);
  // From the export on, the board is finished and may have left the bench: too late to cancel.
  const bool finished = decision.reenter == v1::STEP_EXPORT || decision.reenter == v1::STEP_DONE;
  if (row.cancel_requested && !finished) {
    decision.action = RecoveryAction::kCancel;
    return decision;
  }
  if (restored && !finished) {
    decision.action = RecoveryAction::kNeedsAttention;
    return decision;
  }
  if (row.state == DeploymentState::kPending) {
    decision.action = interrupted ? RecoveryAction::kResume : RecoveryAction::kQueue;
    return decision;
  }
  decision.details.set_recoveries(decision.details.recoveries() + 1);
  decision.details.set_interrupted(true);
  decision.action = decision.details.recoveries() > kMaxRecoveries ? RecoveryAction::kNeedsAttention
                                                                   : RecoveryAction::kResume;
  return decision;
}

}  // namespace kiln::pipeline
