#ifndef KILN_DAEMON_PIPELINE_STEP_H_
#define KILN_DAEMON_PIPELINE_STEP_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/pipeline/scheduler.h"
#include "kiln/v1/deployments.pb.h"

namespace kiln::pipeline {

// What happens to a step that has finished when the work has to begin anew: after a restart of the
// daemon, or after the board was unplugged and plugged in again.
enum class Rerun {
  // Its result lives in memory: runs again after a restart, not after a replug.
  kAfterRestart,
  // Its result is a conversation with the board, or the board's program running: runs again in
  // either case, as long as the board is still needed.
  kWithBoard,
  // Its result is on the chip or on the disk: finished stays finished. When it was interrupted,
  // running it again finds what is there already (by MD5, by the record's name) and does the rest.
  kNever,
};

// One row of the step table.
struct StepTraits {
  v1::Step step;
  absl::string_view name;  // as metrics, failpoints and logs show it
  absl::Duration StepTimeouts::* timeout;
  Rerun rerun;
  bool needs_board;
  // The share of the whole deployment's progress that lies before the step and after it, in
  // percent.
  int progress_begin;
  int progress_end;
};

// The table, in the order of the steps; STEP_DONE is not a row.
absl::Span<const StepTraits> StepTable();
const StepTraits& TraitsOf(v1::Step step);
// "prepare" ... "export", "done"; "none" for anything else.
absl::string_view NameOf(v1::Step step);

// The records of all steps, waiting.
void ResetSteps(DeploymentDetails& details);
v1::StepRecord& RecordOf(DeploymentDetails& details, v1::Step step);
// The first step that has not finished; STEP_DONE when all have.
v1::Step NextStep(DeploymentDetails& details);

// Whether everything at the board is done and confirmed: only its record can be left.
bool IsBoardDone(DeploymentDetails& details);

// Whether the board holds everything, verified: nothing is written to it any more in this attempt.
bool IsVerified(DeploymentDetails& details);

// Whether the board's flash was touched, in this attempt or, unverified since, in an earlier one: a
// deployment that ends so has a story to tell, and gets a record also when it was cancelled.
bool WasWritten(DeploymentDetails& details);

enum class Interruption { kRestart, kReplug };
// Sets back the steps that have to run again before the deployment can go on, and answers the step
// to enter. With everything at the board confirmed, only the export is left.
v1::Step PrepareReentry(DeploymentDetails& details, Interruption interruption);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_STEP_H_
