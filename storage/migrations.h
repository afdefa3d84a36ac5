#ifndef KILN_STORAGE_MIGRATIONS_H_
#define KILN_STORAGE_MIGRATIONS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "storage/sqlite_database.h"

namespace kiln::storage {

// "Kiln" in ASCII, big-endian, in the file's header (https://www.sqlite.org/fileformat.html,
// offset 68).
inline constexpr uint32_t kApplicationId = 0x4b696c6e;

// The schema this program writes: the number of migrations there are.
int LatestSchemaVersion();

// Takes a ledger from schema `from` (0: an empty file) to `to`, each migration in one transaction
// with its user_version. A failure leaves the last complete schema.
absl::Status Migrate(SqliteDatabase& db, int from, int to);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_MIGRATIONS_H_
