#ifndef KILN_STORAGE_LEDGER_BACKUP_H_
#define KILN_STORAGE_LEDGER_BACKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"

// Copies of a ledger: whole ones, of one moment, made while the station writes. For backups, which
// are made by a process of their own.
namespace kiln::storage {

// What names a ledger's content: its schema and the last link of its event chain.
struct LedgerFacts {
  int schema_version = 0;
  int64_t last_sequence = 0;
  std::string head_hex;  // SHA-256 of the newest event; 64 zeros for an empty ledger

  friend bool operator==(const LedgerFacts&, const LedgerFacts&) = default;
};

// Copies every page of an open database, as of one moment, to a new file (mode 0600).
// LedgerWriteFailed or DiskFull; what it had written then is for the caller to remove.
absl::Status CopyDatabase(SqliteDatabase& db, const std::string& target,
                          const LedgerOptions& options);

// Copies the ledger at `path` to a new file at `target` and checks the copy as VerifyLedgerFile
// does. The ledger may be in use: it is read through a connection that never writes, and its
// station goes on meanwhile. NOT_FOUND when there is none. The copy is not synced.
absl::StatusOr<LedgerFacts> CopyLedger(const std::string& path, const std::string& target);

// Checks a ledger that nobody has open, completely: schema, pages, every link of the event chain,
// references. LedgerDamaged; FAILED_PRECONDITION for a newer schema. Changes nothing.
absl::StatusOr<LedgerFacts> VerifyLedgerFile(const std::string& path);

// The facts of the ledger at `path`, which nobody may be writing, without a check.
absl::StatusOr<LedgerFacts> ReadLedgerFacts(const std::string& path);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_LEDGER_BACKUP_H_
