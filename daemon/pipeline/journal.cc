#include "daemon/pipeline/journal.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/pipeline/messages.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

// Two writers of one row meet at most a few times: a worker and a request to cancel.
constexpr int kMaxCollisions = 10;

// Collisions without end are a ledger that cannot be written now. The ledger types its own
// failures; what it refuses for what the row holds stays what it is, since no later try would
// change it.
absl::Status WriteFailed(const absl::Status& status) {
  if (!absl::IsAborted(status)) return status;
  return errors::TypedAs(errors::ErrorCode::kLedgerWriteFailed, status);
}

}  // namespace

absl::StatusOr<storage::Ledger::CreateOutcome> Journal::Create(const storage::Deployment& row) {
  const absl::Duration start = clock_.Monotonic();
  auto outcome = ledger_.CreateDeployment(row, DeploymentPayload);
  metrics_.LedgerTransaction(clock_.Monotonic() - start, outcome.ok());
  return outcome;
}

absl::StatusOr<storage::Deployment> Journal::Update(const storage::Deployment& row) {
  const absl::Duration start = clock_.Monotonic();
  auto stored = ledger_.UpdateDeployment(row, row.sequence, DeploymentPayload);
  if (!absl::IsAborted(stored.status())) {
    metrics_.LedgerTransaction(clock_.Monotonic() - start, stored.ok());
  }
  return stored;
}

absl::Status Journal::Save(storage::Deployment& row) {
  absl::Status last;
  for (int i = 0; i < kMaxCollisions; ++i) {
    auto stored = Update(row);
    if (stored.ok()) {
      row = *std::move(stored);
      return absl::OkStatus();
    }
    last = stored.status();
    if (!absl::IsAborted(last)) break;
    ASSIGN_OR_RETURN(const storage::Deployment present, ledger_.GetDeployment(row.id));
    row.sequence = present.sequence;
    row.cancel_requested = row.cancel_requested || present.cancel_requested;
  }
  return WriteFailed(last);
}

absl::StatusOr<storage::Deployment> Journal::Change(
    const std::string& id, absl::FunctionRef<absl::Status(storage::Deployment&)> change) {
  absl::Status last;
  for (int i = 0; i < kMaxCollisions; ++i) {
    ASSIGN_OR_RETURN(storage::Deployment row, ledger_.GetDeployment(id));
    RETURN_IF_ERROR(change(row));
    auto stored = Update(row);
    if (stored.ok()) return stored;
    last = stored.status();
    if (!absl::IsAborted(last)) break;
  }
  return WriteFailed(last);
}

}  // namespace kiln::pipeline
