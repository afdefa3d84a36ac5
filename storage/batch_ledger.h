#ifndef KILN_STORAGE_BATCH_LEDGER_H_
#define KILN_STORAGE_BATCH_LEDGER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/batch.h"

namespace kiln::storage {

// The ledger's side of standing orders. A deployment takes its slot in the transaction that creates
// it (Ledger::CreateDeployment with a `batch_id`), and gives it back in the one that ends it.
// Thread-safe like the ledger, which it is a part of.
class BatchLedger {
 public:
  virtual ~BatchLedger() = default;

  struct BatchOutcome {
    Batch batch;
    bool repeated = false;  // the request id was known, with the same digest
  };
  // One transaction: the batch, its slots and its event. `customers` has one entry for each slot,
  // or a single one for all. A known request id with another digest: RequestConflict.
  virtual absl::StatusOr<BatchOutcome> CreateBatch(const Batch& batch,
                                                   const std::vector<BatchCustomer>& customers) = 0;
  // One transaction: the new state and its event; nothing when it is in that state already.
  // BatchNotFound; BatchStateWrong for what is over.
  virtual absl::StatusOr<Batch> ChangeBatch(const std::string& id, BatchChange change) = 0;
  // Lets the board `mac`, which holds a slot of the batch, be made once more. BatchNotFound;
  // BatchStateWrong when the batch is over or the board holds none of its slots.
  virtual absl::StatusOr<Batch> AllowBatchBoard(const std::string& id, const std::string& mac) = 0;
  // BatchNotFound.
  virtual absl::StatusOr<Batch> GetBatch(const std::string& id) = 0;
  virtual absl::StatusOr<Batch> FindBatchByRequest(const std::string& request_id) = 0;
  // Newest first. INVALID_ARGUMENT for a limit below 1 or an unknown cursor.
  virtual absl::StatusOr<std::vector<Batch>> ListBatches(const BatchQuery& query) = 0;
  // Every active batch with a free slot, oldest first.
  virtual absl::StatusOr<std::vector<Batch>> FindBatchesThatTakeBoards() = 0;
  // At most `limit` slots after `after_slot`, in order. BatchNotFound.
  virtual absl::StatusOr<std::vector<BatchSlot>> ListBatchSlots(const std::string& id,
                                                                int after_slot, int limit) = 0;
  // How batches' events are written. Set once, before the first write.
  virtual void SetBatchPayload(BatchPayload payload) = 0;
};

}  // namespace kiln::storage

#endif  // KILN_STORAGE_BATCH_LEDGER_H_
