#ifndef KILN_STORAGE_WRITE_SCOPE_H_
#define KILN_STORAGE_WRITE_SCOPE_H_

#include <vector>

#include "absl/time/time.h"
#include "storage/batch.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"

namespace kiln::storage {

// One transaction of the ledger, for the functions that write in it: the caller begins it, and
// commits it unless one of them fails. They append their events here, in order, to be announced
// after the commit. Lives on the stack of the writer; nothing is owned.
struct WriteScope {
  SqliteDatabase& db;
  // As the ledger's clock had it when the transaction began.
  absl::Time now;
  // How batches' events are written.
  const BatchPayload& batch_payload;
  std::vector<EventRecord>& events;
};

}  // namespace kiln::storage

#endif  // KILN_STORAGE_WRITE_SCOPE_H_
