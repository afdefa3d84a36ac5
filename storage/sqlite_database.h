#ifndef KILN_STORAGE_SQLITE_DATABASE_H_
#define KILN_STORAGE_SQLITE_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/sqlite_statement.h"

namespace kiln::storage {

// One connection to an SQLite file, with its cache of prepared statements. Owned by the ledger and
// used by one thread at a time (the owner's mutex guards it; SQLite's own is off). Never creates a
// file: whoever owns the path does, with the right mode.
class SqliteDatabase {
 public:
  enum class Access {
    // Writes and checkpoints. Only one such connection may exist for a file: SQLite before 3.51.3
    // can lose commits when two connections write or checkpoint at the same instant
    // (https://www.sqlite.org/wal.html#walresetbug).
    kWrite,
    // Read-only: never writes the file or its log, never checkpoints.
    kRead,
    // As kRead, and without locks or a log: for a file that nobody writes. Leaves no files behind.
    kReadImmutable,
  };
  struct Options {
    Access access = Access::kRead;
    std::string vfs;      // empty: SQLite's default
    bool durable = true;  // false: no fsync, for tests that never lose power
    int checkpoint_pages = 1000;
  };

  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const std::string& path,
                                                              const Options& options);
  // An empty database that is never on disk, to see what a schema consists of.
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> OpenInMemory();
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Runs any number of statements without parameters; rows are dropped.
  absl::Status Execute(const std::string& sql);
  // A statement for one use.
  absl::StatusOr<SqliteStatement> Prepare(const std::string& sql);
  // A statement from the cache; only for a fixed set of texts, and one use of each at a time.
  absl::StatusOr<SqliteStatement> Cached(const std::string& sql);
  // The first column of the first row of a query without parameters; INTERNAL without a row.
  absl::StatusOr<int64_t> QueryInt(const std::string& sql);
  absl::StatusOr<std::string> QueryText(const std::string& sql);
  // The first column of every row.
  absl::StatusOr<std::vector<std::string>> QueryTexts(const std::string& sql);

  bool in_transaction() const;
  sqlite3* handle() const { return db_; }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  explicit SqliteDatabase(sqlite3* db) : db_(db) {}
  absl::Status Configure(const Options& options);
  absl::StatusOr<sqlite3_stmt*> Compile(const std::string& sql, unsigned flags);

  sqlite3* const db_;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>> cache_;
};

// A transaction that is rolled back unless it was committed. Lives on the stack of the writer.
class SqliteTransaction {
 public:
  // kImmediate takes the write lock at once (BEGIN IMMEDIATE).
  enum class Kind { kRead, kImmediate };
  static absl::StatusOr<SqliteTransaction> Begin(SqliteDatabase& db, Kind kind);
  ~SqliteTransaction();
  SqliteTransaction(SqliteTransaction&& other) noexcept;
  SqliteTransaction& operator=(SqliteTransaction&&) = delete;

  // OK: on disk. Anything else: rolled back.
  absl::Status Commit();

 private:
  explicit SqliteTransaction(SqliteDatabase* db) : db_(db) {}
  SqliteDatabase* db_;  // null once ended
};

}  // namespace kiln::storage

#endif  // KILN_STORAGE_SQLITE_DATABASE_H_
