#ifndef KILN_DAEMON_PIPELINE_RECOVERY_H_
#define KILN_DAEMON_PIPELINE_RECOVERY_H_

#include "daemon/pipeline/details.pb.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// How often one attempt is taken up again by itself before a person has to look: a deployment that
// brings the daemon down must not do so for ever.
inline constexpr int kMaxRecoveries = 5;

enum class RecoveryAction {
  kNothing,         // ended: stays as it is
  kQueue,           // waits for its board, as before
  kResume,          // goes on from `details` when its board is there
  kCancel,          // somebody asked for it before the stop: CANCELED
  kNeedsAttention,  // interrupted too often, or in a restored backup: OutcomeUnknown
};

// What to do with a deployment that the ledger holds when the daemon starts. A pure function of the
// row: finished steps stay finished, the interrupted one is entered again by way of the steps that
// lead there (see Rerun in step.h). For kResume, `details` says the steps that are left.
struct RecoveryDecision {
  RecoveryAction action = RecoveryAction::kNothing;
  v1::Step reenter = v1::STEP_UNSPECIFIED;
  DeploymentDetails details;
};

//
// `restored`: the ledger is a backup that was restored. What had not ended in it may have ended
// since, on another board or on this one, and nobody here can know: it is not done a second time by
// itself. A finished board whose record was being written needs only that.
RecoveryDecision DecideRecovery(const storage::Deployment& row, bool restored = false);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_RECOVERY_H_
