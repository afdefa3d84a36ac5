#ifndef KILN_STORAGE_BATCH_QUERIES_H_
#define KILN_STORAGE_BATCH_QUERIES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/batch.h"
#include "storage/sqlite_database.h"

// The rows of batches and their slots. Every function runs in the caller's transaction.
namespace kiln::storage {

// With its counts; nothing when there is no such row.
absl::StatusOr<std::optional<Batch>> FindBatch(SqliteDatabase& db, const std::string& id);
absl::StatusOr<std::optional<Batch>> FindBatchByRequestId(SqliteDatabase& db,
                                                          const std::string& request_id);
absl::StatusOr<std::vector<Batch>> QueryBatches(SqliteDatabase& db, const BatchQuery& query);
// Active batches with a free slot, oldest first.
absl::StatusOr<std::vector<Batch>> QueryBatchesThatTakeBoards(SqliteDatabase& db);
absl::StatusOr<std::vector<BatchSlot>> QueryBatchSlots(SqliteDatabase& db, const std::string& id,
                                                       int after_slot, int limit);
// Nothing when all are held.
absl::StatusOr<std::optional<BatchSlot>> FindFreeSlot(SqliteDatabase& db, const std::string& id);
absl::StatusOr<std::optional<BatchSlot>> FindSlot(SqliteDatabase& db, const std::string& id,
                                                  int slot);
// The slot that the board `mac` holds.
absl::StatusOr<std::optional<BatchSlot>> FindSlotOfBoard(SqliteDatabase& db, const std::string& id,
                                                         const std::string& mac);

absl::Status InsertBatch(SqliteDatabase& db, const Batch& batch,
                         const std::vector<BatchCustomer>& customers);
// State, times and sequence.
absl::Status ReplaceBatch(SqliteDatabase& db, const Batch& batch);
// An empty deployment frees the slot.
absl::Status SetSlot(SqliteDatabase& db, const std::string& id, int slot,
                     const std::string& deployment_id, const std::string& mac);
absl::Status AllowBoard(SqliteDatabase& db, const std::string& id, const std::string& mac);
// Whether the board was allowed; it is not any more.
absl::StatusOr<bool> UseAllowance(SqliteDatabase& db, const std::string& id,
                                  const std::string& mac);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_BATCH_QUERIES_H_
