#ifndef KILN_DAEMON_PIPELINE_JOURNAL_H_
#define KILN_DAEMON_PIPELINE_JOURNAL_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "daemon/telemetry/metrics.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// The pipeline's hand on the ledger: every change of a deployment goes through here, together with
// its event. A row has one owner at a time (the queue, or the worker that runs it); everybody else
// may only ask for its cancellation. Owned by the scheduler; thread-safe.
class Journal {
 public:
  Journal(storage::Ledger& ledger, base::Clock& clock, telemetry::Metrics& metrics)
      : ledger_(ledger), clock_(clock), metrics_(metrics) {}

  absl::StatusOr<storage::Ledger::CreateOutcome> Create(const storage::Deployment& row);

  // The owner's way: stores `row` and replaces it by what the ledger holds now. A request to cancel
  // that was stored meanwhile is kept. Errors: LedgerWriteFailed, DiskFull, which may pass;
  // INTERNAL and others of the ledger when it refuses the row. Then nothing has changed.
  absl::Status Save(storage::Deployment& row);

  // The others' way: reads the row, applies `change`, stores it; again when it moved on meanwhile.
  // Errors of `change` are passed on, with nothing stored.
  absl::StatusOr<storage::Deployment> Change(
      const std::string& id, absl::FunctionRef<absl::Status(storage::Deployment&)> change);

 private:
  absl::StatusOr<storage::Deployment> Update(const storage::Deployment& row);

  storage::Ledger& ledger_;
  base::Clock& clock_;
  telemetry::Metrics& metrics_;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_JOURNAL_H_
