#ifndef KILN_STORAGE_LEDGER_FILE_H_
#define KILN_STORAGE_LEDGER_FILE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"

// The ledger as a file: who may open it, how it comes to be, and whether it is sound. Called by
// the ledger alone, in this order.
namespace kiln::storage {

// Holds `path`.lock for as long as the descriptor lives; LedgerWriteFailed when somebody else does.
absl::StatusOr<base::UniqueFd> LockLedger(const std::string& path);

enum class Presence { kAbsent, kPresent };
// Whether there is something at `path`. LedgerDamaged when the file is gone but its log is not: a
// new ledger must not swallow the log of the old one.
absl::StatusOr<Presence> FindLedger(const std::string& path);

// Makes a new, complete ledger under another name and moves it to `path`, so that a crash leaves
// either nothing or all of it. Mode 0600.
absl::Status CreateLedger(const std::string& path, const LedgerOptions& options);

// Checks an existing ledger without changing a byte of it: its header, quick_check, the schema's
// version and the head of the chain. Answers the version. LedgerDamaged with advice;
// FAILED_PRECONDITION for a newer schema.
absl::StatusOr<int> CheckLedger(const std::string& path, const LedgerOptions& options);

// The whole check, on a read connection: every link of the chain, integrity_check, foreign keys.
// Fills `result` as far as the chain is whole; LedgerDamaged says what is not.
absl::Status VerifyLedger(SqliteDatabase& db, int schema_version, VerifyResult& result);

// Copies the open ledger to "`path`.schema-`version`.sequence-N-HHHHHHHH.backup" (the newest event
// and the first digits of its hash), mode 0600, complete or not at all. Answers the copy's path.
absl::StatusOr<std::string> BackUpLedger(SqliteDatabase& db, const std::string& path, int version,
                                         const LedgerOptions& options);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_LEDGER_FILE_H_
