#ifndef KILN_STORAGE_BATCH_WRITES_H_
#define KILN_STORAGE_BATCH_WRITES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/batch_ledger.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"
#include "storage/write_scope.h"

// What the ledger's transactions do to batches: rules, slots and events. Every function runs in the
// caller's transaction, which must not be committed when the function fails.
namespace kiln::storage {

absl::StatusOr<BatchLedger::BatchOutcome> CreateBatchIn(
    const WriteScope& scope, const Batch& batch, const std::vector<BatchCustomer>& customers);
absl::StatusOr<Batch> ChangeBatchIn(const WriteScope& scope, const std::string& id,
                                    BatchChange change);
absl::StatusOr<Batch> AllowBoardIn(const WriteScope& scope, const std::string& id,
                                   const std::string& mac);

// Picks the slot of a deployment that is about to be created, and gives it the slot's customer.
// BatchNotFound; BatchStateWrong when the batch takes no boards or has no free slot.
absl::Status PickSlot(SqliteDatabase& db, Deployment& deployment);

// Whether this change of a deployment changes what its batch counts.
enum class Counts { kSame, kChanged };
// Brings the slots in line with a deployment that goes from `before` to `after`; a new one has no
// state before. A deployment that waits or runs holds its slot, with its board's MAC once known; a
// success keeps it for good; any other end frees it. BoardAlreadyMade when its board holds another
// slot, unless it was allowed to be made once more; BatchSlotTaken when somebody else has its slot;
// BatchStateWrong for a retry in a batch that is over.
absl::StatusOr<Counts> SettleSlot(SqliteDatabase& db, const Deployment* before,
                                  const Deployment& after);
// Appends the event of a batch whose counts have changed; it is completed with its last success.
absl::Status AnnounceCounts(const WriteScope& scope, const std::string& id);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_BATCH_WRITES_H_
