#ifndef KILN_STORAGE_DUE_RECORDS_H_
#define KILN_STORAGE_DUE_RECORDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"

// The records of ended attempts that may not be on disk yet. Every function runs in the caller's
// transaction.
namespace kiln::storage {

// Keeps `deployment.due_record`, when there is one, for the attempt and the event of the row.
absl::Status KeepDueRecord(SqliteDatabase& db, const Deployment& deployment);
// Oldest end first. INVALID_ARGUMENT for a limit below 1.
absl::StatusOr<std::vector<DueRecord>> QueryDueRecords(SqliteDatabase& db, int limit);
absl::Status DeleteDueRecord(SqliteDatabase& db, const std::string& deployment_id, int attempt);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_DUE_RECORDS_H_
