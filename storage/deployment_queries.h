#ifndef KILN_STORAGE_DEPLOYMENT_QUERIES_H_
#define KILN_STORAGE_DEPLOYMENT_QUERIES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"

// The rows of deployments and their secrets. Every function runs in the caller's transaction.
namespace kiln::storage {

// As the ledger gives it back: times in whole microseconds.
Deployment Normalized(Deployment deployment);

// With its secret; nothing when there is no such row.
absl::StatusOr<std::optional<Deployment>> FindDeployment(SqliteDatabase& db, const std::string& id);
absl::StatusOr<std::optional<Deployment>> FindByRequestId(SqliteDatabase& db,
                                                          const std::string& request_id);
// The id of the deployment that runs on `port`, or empty.
absl::StatusOr<std::string> FindRunningOn(SqliteDatabase& db, const std::string& port);

absl::Status InsertDeployment(SqliteDatabase& db, const Deployment& deployment);
// Writes everything but the order. An empty password leaves the stored one.
absl::Status ReplaceDeployment(SqliteDatabase& db, const Deployment& deployment);

// Without secrets.
absl::StatusOr<std::vector<Deployment>> QueryDeployments(SqliteDatabase& db,
                                                         const DeploymentQuery& query);
absl::StatusOr<std::vector<Deployment>> QueryNotEnded(SqliteDatabase& db);
absl::StatusOr<StateCounts> CountDeployments(SqliteDatabase& db);
absl::StatusOr<OutcomeCounts> QueryOutcomes(SqliteDatabase& db, absl::Time after,
                                            absl::Time before);

// The text of QueryDeployments' statement, so that tests can look at its plan.
std::string DeploymentQuerySql(const DeploymentQuery& query);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_DEPLOYMENT_QUERIES_H_
