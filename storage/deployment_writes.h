#ifndef KILN_STORAGE_DEPLOYMENT_WRITES_H_
#define KILN_STORAGE_DEPLOYMENT_WRITES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "storage/ledger.h"
#include "storage/write_scope.h"

// What a write of a deployment must hold to (one row for a request, one running deployment for a
// port, an order that stays as it was, no password outside its table) and what belongs to it: the
// row, its event, the record that became due, its slot of a batch. Every function runs in the
// caller's transaction, which must not be committed when the function fails.
namespace kiln::storage {

// Ledger::CreateDeployment. Repeated: nothing was written.
absl::StatusOr<Ledger::CreateOutcome> WriteNewDeployment(const WriteScope& scope,
                                                         const Deployment& deployment,
                                                         PayloadOf payload);

// Ledger::UpdateDeployment.
absl::StatusOr<Deployment> WriteDeploymentUpdate(const WriteScope& scope,
                                                 const Deployment& deployment,
                                                 int64_t expected_sequence, PayloadOf payload);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_DEPLOYMENT_WRITES_H_
