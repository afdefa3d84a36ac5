#ifndef KILN_STORAGE_DEPLOYMENT_WRITES_H_
#define KILN_STORAGE_DEPLOYMENT_WRITES_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"

// What a write of a deployment must hold to (one row for a request, one running deployment for a
// port, an order that stays as it was, no password outside its table) and what belongs to it: the
// row, its event, the record that became due. Every function runs in the caller's transaction,
// which must not be committed when the function fails. Times come as the caller's clock has them.
namespace kiln::storage {

struct DeploymentWrite {
  // As it stands in the ledger now, with its password.
  Deployment deployment;
  // Nothing when the row had been there already, made by the same request with the same order.
  std::optional<EventRecord> event;
};

// Ledger::CreateDeployment.
absl::StatusOr<DeploymentWrite> WriteNewDeployment(SqliteDatabase& db, const Deployment& deployment,
                                                   PayloadOf payload, absl::Time now);

// Ledger::UpdateDeployment.
absl::StatusOr<DeploymentWrite> WriteDeploymentUpdate(SqliteDatabase& db,
                                                      const Deployment& deployment,
                                                      int64_t expected_sequence, PayloadOf payload,
                                                      absl::Time now);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_DEPLOYMENT_WRITES_H_
