#include "storage/deployment_writes.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "storage/batch_writes.h"
#include "storage/deployment_queries.h"
#include "storage/due_records.h"
#include "storage/event_chain.h"

namespace kiln::storage {
namespace {

// Shortest WPA2 passphrase (IEEE 802.11i, annex H.4.1). Anything shorter is no real password and
// may occur in a payload by chance.
constexpr size_t kShortestPassword = 8;

absl::Status CheckDeployment(const Deployment& deployment) {
  if (deployment.id.empty() || deployment.request_id.empty()) {
    return absl::InvalidArgumentError("a deployment needs an id and a request id");
  }
  if (deployment.state == DeploymentState::kRunning && deployment.port.empty()) {
    return absl::InvalidArgumentError("a running deployment needs a port");
  }
  return absl::OkStatus();
}

bool HoldsPassword(const std::string& text, const Deployment& deployment) {
  return deployment.wifi_password.size() >= kShortestPassword &&
         absl::StrContains(text, deployment.wifi_password);
}

bool SameOrder(const Deployment& a, const Deployment& b) {
  return a.request_id == b.request_id && a.request_digest == b.request_digest &&
         a.organization == b.organization && a.customer_id == b.customer_id &&
         a.application_name == b.application_name && a.expiry_date == b.expiry_date &&
         a.bundle_id == b.bundle_id && a.requested_port == b.requested_port &&
         a.batch_id == b.batch_id && a.batch_slot == b.batch_slot && a.create_time == b.create_time;
}

absl::Status CheckPortFree(SqliteDatabase& db, const Deployment& deployment) {
  if (deployment.state != DeploymentState::kRunning) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string other, FindRunningOn(db, deployment.port));
  if (other.empty() || other == deployment.id) return absl::OkStatus();
  return errors::MakeError(
      errors::ErrorCode::kDeploymentStateWrong,
      absl::StrCat("deployment ", other, " already runs on port ", deployment.port));
}

// Makes the event of `deployment` and appends it; sets the deployment's sequence.
absl::Status AppendEventOf(const WriteScope& scope, Deployment& deployment, PayloadOf payload) {
  // Read inside the transaction, not remembered: there is no copy that a failed commit could leave
  // wrong.
  ASSIGN_OR_RETURN(ChainHead head, ReadChainHead(scope.db));
  deployment.sequence = head.sequence + 1;
  EventDraft draft;
  draft.kind = kDeploymentEventKind;
  draft.subject = absl::StrCat("deployments/", deployment.id);
  draft.payload = payload(deployment);
  if (HoldsPassword(draft.payload, deployment)) {
    return absl::InternalError("refused to store an event that holds a WiFi password");
  }
  ASSIGN_OR_RETURN(EventRecord event, AppendToChain(scope.db, head, draft, deployment.update_time));
  scope.events.push_back(std::move(event));
  return absl::OkStatus();
}

// The slot of a deployment that goes from `before` to `after`, and its batch's event when that
// changes what the batch counts.
absl::Status SettleBatch(const WriteScope& scope, const Deployment* before,
                         const Deployment& after) {
  ASSIGN_OR_RETURN(const Counts counts, SettleSlot(scope.db, before, after));
  if (counts == Counts::kSame) return absl::OkStatus();
  return AnnounceCounts(scope, after.batch_id);
}

}  // namespace

absl::StatusOr<Ledger::CreateOutcome> WriteNewDeployment(const WriteScope& scope,
                                                         const Deployment& deployment,
                                                         PayloadOf payload) {
  SqliteDatabase& db = scope.db;
  RETURN_IF_ERROR(CheckDeployment(deployment));
  ASSIGN_OR_RETURN(std::optional<Deployment> known, FindByRequestId(db, deployment.request_id));
  if (known.has_value()) {
    if (known->request_digest != deployment.request_digest) {
      return errors::MakeError(errors::ErrorCode::kRequestConflict,
                               absl::StrCat("request ", deployment.request_id,
                                            " was a different order: deployment ", known->id));
    }
    return Ledger::CreateOutcome{.deployment = *std::move(known), .repeated = true};
  }
  ASSIGN_OR_RETURN(const std::optional<Deployment> namesake, FindDeployment(db, deployment.id));
  if (namesake.has_value()) {
    return absl::AlreadyExistsError(absl::StrCat("deployment ", deployment.id, " exists"));
  }
  RETURN_IF_ERROR(CheckPortFree(db, deployment));
  Deployment row = deployment;
  row.update_time = scope.now;
  if (row.create_time == absl::UnixEpoch()) row.create_time = scope.now;
  row.has_wifi_password = !row.wifi_password.empty();
  row = Normalized(std::move(row));
  row.batch_slot = 0;
  if (!row.batch_id.empty()) {
    RETURN_IF_ERROR(PickSlot(db, row));
  }
  RETURN_IF_ERROR(AppendEventOf(scope, row, payload));
  RETURN_IF_ERROR(InsertDeployment(db, row));
  RETURN_IF_ERROR(SettleBatch(scope, nullptr, row));
  return Ledger::CreateOutcome{.deployment = std::move(row), .repeated = false};
}

absl::StatusOr<Deployment> WriteDeploymentUpdate(const WriteScope& scope,
                                                 const Deployment& deployment,
                                                 int64_t expected_sequence, PayloadOf payload) {
  SqliteDatabase& db = scope.db;
  RETURN_IF_ERROR(CheckDeployment(deployment));
  ASSIGN_OR_RETURN(const std::optional<Deployment> stored, FindDeployment(db, deployment.id));
  if (!stored.has_value()) {
    return errors::MakeError(errors::ErrorCode::kDeploymentNotFound,
                             absl::StrCat("no deployment ", deployment.id));
  }
  if (stored->sequence != expected_sequence) {
    return absl::AbortedError(absl::StrCat("deployment ", deployment.id, " is at sequence ",
                                           stored->sequence, ", not ", expected_sequence));
  }
  Deployment row = deployment;
  row.update_time = scope.now;
  row = Normalized(std::move(row));
  if (!SameOrder(row, *stored)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the order of deployment ", deployment.id, " cannot be changed"));
  }
  if (row.wifi_password.empty()) row.wifi_password = stored->wifi_password;
  row.has_wifi_password = !row.wifi_password.empty();
  if (HoldsPassword(row.due_record, row)) {
    return absl::InternalError("refused to store a due record that holds a WiFi password");
  }
  RETURN_IF_ERROR(CheckPortFree(db, row));
  RETURN_IF_ERROR(AppendEventOf(scope, row, payload));
  RETURN_IF_ERROR(ReplaceDeployment(db, row));
  RETURN_IF_ERROR(KeepDueRecord(db, row));
  RETURN_IF_ERROR(SettleBatch(scope, &*stored, row));
  row.due_record.clear();
  return row;
}

}  // namespace kiln::storage
