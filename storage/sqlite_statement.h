#ifndef KILN_STORAGE_SQLITE_STATEMENT_H_
#define KILN_STORAGE_SQLITE_STATEMENT_H_

#include <sqlite3.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kiln::storage {

// Typed status for what SQLite answered: DiskFull, LedgerWriteFailed, LedgerDamaged,
// INVALID_ARGUMENT for a violated constraint, otherwise INTERNAL. `db` may be null.
absl::Status SqliteError(sqlite3* db, int code, absl::string_view doing);

// One use of a prepared statement: bind, step, read. Owned by the function that runs the query, on
// the thread that holds the connection. Statements from the connection's cache are reset at the end
// of the use, others finalized. A failed bind is reported by the next step.
class SqliteStatement {
 public:
  enum class AtEnd { kReset, kFinalize };
  SqliteStatement(sqlite3* db, sqlite3_stmt* statement, AtEnd at_end)
      : db_(db), statement_(statement), at_end_(at_end) {}
  ~SqliteStatement();
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&&) = delete;
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // Parameters count from 1. Bytes are copied.
  SqliteStatement& BindInt(int parameter, int64_t value);
  SqliteStatement& BindText(int parameter, absl::string_view text);
  SqliteStatement& BindBlob(int parameter, absl::string_view bytes);
  // Microseconds since the epoch; InfinitePast is NULL.
  SqliteStatement& BindTime(int parameter, absl::Time time);

  // True: a row is there to read. False: done.
  absl::StatusOr<bool> Step();
  // Steps to the end, dropping rows.
  absl::Status Run();

  // Columns count from 0 and are valid after a step that answered true.
  int64_t Int(int column) const;
  // Text and blobs alike.
  std::string Bytes(int column) const;
  // NULL is InfinitePast.
  absl::Time Time(int column) const;

 private:
  void Note(int code);

  sqlite3* db_;
  sqlite3_stmt* statement_;
  AtEnd at_end_;
  int bind_error_ = SQLITE_OK;
};

}  // namespace kiln::storage

#endif  // KILN_STORAGE_SQLITE_STATEMENT_H_
