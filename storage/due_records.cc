#include "storage/due_records.h"

#include "base/status_macros.h"

namespace kiln::storage {

absl::Status KeepDueRecord(SqliteDatabase& db, const Deployment& deployment) {
  if (deployment.due_record.empty()) return absl::OkStatus();
  // An attempt ends once. Should it ever do so twice, its last end is what happened.
  ASSIGN_OR_RETURN(
      SqliteStatement insert,
      db.Cached("INSERT OR REPLACE INTO due_records(deployment_id, attempt, sequence, content) "
                "VALUES(?1, ?2, ?3, ?4)"));
  RETURN_IF_ERROR(insert.BindText(1, deployment.id)
                      .BindInt(2, deployment.attempt)
                      .BindInt(3, deployment.sequence)
                      .BindBlob(4, deployment.due_record)
                      .Run())
      << "keeping the due record of deployment " << deployment.id;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DueRecord>> QueryDueRecords(SqliteDatabase& db, int limit) {
  if (limit < 1) return absl::InvalidArgumentError("the limit of a query must be at least 1");
  ASSIGN_OR_RETURN(SqliteStatement query,
                   db.Cached("SELECT deployment_id, attempt, sequence, content FROM due_records "
                             "ORDER BY sequence LIMIT ?1"));
  query.BindInt(1, limit);
  std::vector<DueRecord> due;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return due;
    due.push_back({.deployment_id = query.Bytes(0),
                   .attempt = static_cast<int>(query.Int(1)),
                   .sequence = query.Int(2),
                   .content = query.Bytes(3)});
  }
}

absl::Status DeleteDueRecord(SqliteDatabase& db, const std::string& deployment_id, int attempt) {
  ASSIGN_OR_RETURN(SqliteStatement erase,
                   db.Cached("DELETE FROM due_records WHERE deployment_id = ?1 AND attempt = ?2"));
  return erase.BindText(1, deployment_id).BindInt(2, attempt).Run();
}

}  // namespace kiln::storage
