#include "daemon/api/snapshot.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "daemon/api/lookup.h"
#include "daemon/api/resource_name.h"
#include "daemon/api/rpc_error.h"
#include "daemon/pipeline/batches.h"
#include "daemon/pipeline/messages.h"

namespace kiln::api {
namespace {

// Newest ended deployments in a snapshot, as the contract says.
constexpr int kEndedDeployments = 100;
// Keeps the snapshot below gRPC's usual message limit of 4 MiB (about 1 KiB each); the pipeline's
// own bound on waiting orders is lower by default.
constexpr int kOpenDeployments = 3000;
// Likewise, of batches. More than a few are never open at once.
constexpr int kOpenBatches = 200;
constexpr int kEndedBatches = 10;

absl::Status AddDeployments(const ApiParts& parts, const storage::DeploymentQuery& query,
                            v1::Snapshot& snapshot) {
  ASSIGN_OR_RETURN(const std::vector<storage::Deployment> found,
                   parts.ledger->ListDeployments(query));
  for (const storage::Deployment& deployment : found) {
    *snapshot.add_deployments() = pipeline::ToMessage(deployment);
  }
  return absl::OkStatus();
}

absl::Status AddBatches(const ApiParts& parts, v1::Snapshot& snapshot) {
  using storage::BatchState;
  const storage::BatchQuery queries[] = {
      {.states = {BatchState::kActive, BatchState::kPaused}, .limit = kOpenBatches},
      {.states = {BatchState::kCompleted, BatchState::kEnded}, .limit = kEndedBatches}};
  for (const storage::BatchQuery& query : queries) {
    ASSIGN_OR_RETURN(const std::vector<storage::Batch> found, parts.ledger->ListBatches(query));
    for (const storage::Batch& batch : found) *snapshot.add_batches() = pipeline::ToMessage(batch);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EventSelection> SelectionOf(const v1::EventFilter& filter) {
  EventSelection selection;
  if (!filter.deployment().empty()) {
    RETURN_IF_ERROR(
        ParseResourceName(filter.deployment(), "deployments", "filter.deployment").status());
    selection.subject = filter.deployment();
  }
  for (const int kind : filter.kinds()) {
    if (!v1::EventKind_IsValid(kind) || kind == v1::EVENT_KIND_UNSPECIFIED) {
      return FieldError("filter.kinds", absl::StrCat("has no kind ", kind));
    }
    selection.kinds.push_back(kind);
  }
  return selection;
}

absl::StatusOr<v1::Snapshot> TakeSnapshot(const ApiParts& parts, const EventSelection& selection) {
  v1::Snapshot snapshot;
  ASSIGN_OR_RETURN(const int64_t last_sequence, parts.ledger->LastSequence());
  snapshot.set_last_sequence(last_sequence);

  const auto wants = [&selection](v1::EventKind kind) {
    return selection.Wants(kind, selection.subject);
  };
  if (!selection.subject.empty()) {
    if (wants(v1::EVENT_KIND_DEPLOYMENT)) {
      ASSIGN_OR_RETURN(const storage::Deployment deployment,
                       FindDeployment(parts, selection.subject));
      *snapshot.add_deployments() = pipeline::ToMessage(deployment);
    }
    return snapshot;
  }
  if (wants(v1::EVENT_KIND_BOARD)) {
    for (const boards::BoardInfo& board : parts.boards->List()) {
      *snapshot.add_boards() = BoardMessage(parts, board);
    }
  }
  if (wants(v1::EVENT_KIND_DEPLOYMENT)) {
    using storage::DeploymentState;
    storage::DeploymentQuery open;
    open.states = {DeploymentState::kPending, DeploymentState::kRunning,
                   DeploymentState::kNeedsAttention};
    open.limit = kOpenDeployments;
    RETURN_IF_ERROR(AddDeployments(parts, open, snapshot));
    storage::DeploymentQuery ended;
    ended.states = {DeploymentState::kSucceeded, DeploymentState::kFailed,
                    DeploymentState::kCanceled};
    ended.limit = kEndedDeployments;
    RETURN_IF_ERROR(AddDeployments(parts, ended, snapshot));
  }
  if (wants(v1::EVENT_KIND_BATCH)) {
    RETURN_IF_ERROR(AddBatches(parts, snapshot));
  }
  if (wants(v1::EVENT_KIND_HEALTH)) *snapshot.mutable_health() = parts.health->Evaluate();
  return snapshot;
}

}  // namespace kiln::api
