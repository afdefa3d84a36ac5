#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/pipeline/step.h"

namespace kiln::pipeline {
namespace {

using v1::StepRecord;

// Progress follows the source documents' marks where they name one: 75 written and checked, 80
// booted, 90 confirmed, 100 exported.
// clang-format off
constexpr StepTraits kSteps[] = {
    // step             name        timeout                       run again               board  progress
    {v1::STEP_PREPARE,  "prepare",  &StepTimeouts::prepare,       Rerun::kAfterRestart,   false,  0,   3},
    {v1::STEP_CONNECT,  "connect",  &StepTimeouts::connect,       Rerun::kWithBoard,      true,   3,   5},
    {v1::STEP_IDENTIFY, "identify", &StepTimeouts::identify,      Rerun::kWithBoard,      true,   5,   8},
    {v1::STEP_FLASH,    "flash",    &StepTimeouts::flash,         Rerun::kNever,          true,   8,  70},
    {v1::STEP_VERIFY,   "verify",   &StepTimeouts::verify,        Rerun::kNever,          true,  70,  75},
    {v1::STEP_BOOT,     "boot",     &StepTimeouts::boot,          Rerun::kWithBoard,      true,  75,  80},
    {v1::STEP_CONFIRM,  "confirm",  &StepTimeouts::confirm,       Rerun::kNever,          true,  80,  90},
    {v1::STEP_EXPORT,   "export",   &StepTimeouts::export_record, Rerun::kNever,          false, 90, 100},
};
// clang-format on

bool IsFinished(const StepRecord& record) {
  return record.state() == StepRecord::STATE_FINISHED ||
         record.state() == StepRecord::STATE_SKIPPED;
}

void SetBack(StepRecord& record) {
  record.set_state(StepRecord::STATE_WAITING);
  record.clear_start_time();
  record.clear_elapsed();
}

}  // namespace

absl::Span<const StepTraits> StepTable() { return kSteps; }

const StepTraits& TraitsOf(v1::Step step) {
  for (const StepTraits& traits : kSteps) {
    if (traits.step == step) return traits;
  }
  return kSteps[0];
}

absl::string_view NameOf(v1::Step step) {
  for (const StepTraits& traits : kSteps) {
    if (traits.step == step) return traits.name;
  }
  return step == v1::STEP_DONE ? "done" : "none";
}

void ResetSteps(DeploymentDetails& details) {
  details.clear_steps();
  for (const StepTraits& traits : kSteps) {
    StepRecord* record = details.add_steps();
    record->set_step(traits.step);
    record->set_state(StepRecord::STATE_WAITING);
  }
}

v1::StepRecord& RecordOf(DeploymentDetails& details, v1::Step step) {
  for (StepRecord& record : *details.mutable_steps()) {
    if (record.step() == step) return record;
  }
  // A row written by an older version may lack a step.
  StepRecord* record = details.add_steps();
  record->set_step(step);
  record->set_state(StepRecord::STATE_WAITING);
  return *record;
}

v1::Step NextStep(DeploymentDetails& details) {
  for (const StepTraits& traits : kSteps) {
    if (!IsFinished(RecordOf(details, traits.step))) return traits.step;
  }
  return v1::STEP_DONE;
}

bool IsBoardDone(DeploymentDetails& details) {
  return IsFinished(RecordOf(details, v1::STEP_CONFIRM));
}

bool IsVerified(DeploymentDetails& details) {
  return IsFinished(RecordOf(details, v1::STEP_VERIFY));
}

bool WasWritten(DeploymentDetails& details) {
  // An interruption sets the step back, but not what it has begun.
  return details.half_written() ||
         RecordOf(details, v1::STEP_FLASH).state() != StepRecord::STATE_WAITING;
}

v1::Step PrepareReentry(DeploymentDetails& details, Interruption interruption) {
  const bool board_is_done = IsBoardDone(details);
  for (const StepTraits& traits : kSteps) {
    StepRecord& record = RecordOf(details, traits.step);
    const bool runs_again =
        traits.rerun == Rerun::kWithBoard ||
        (traits.rerun == Rerun::kAfterRestart && interruption == Interruption::kRestart);
    // One that has not finished may say RUNNING.
    if (!IsFinished(record) || (!board_is_done && runs_again)) SetBack(record);
  }
  return NextStep(details);
}

}  // namespace kiln::pipeline
