#include "storage/sqlite_database.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"

namespace kiln::storage {
namespace {

// How long a statement waits for somebody else's lock (an administrator's sqlite3, a backup).
constexpr int kBusyTimeoutMs = 5000;
// A log that grew in a burst is cut back to this when it starts over.
constexpr int kLogSizeLimitBytes = 4 << 20;

// https://www.sqlite.org/uri.html: '%', '?' and '#' must be escaped.
std::string ImmutableUri(const std::string& path) {
  const std::string escaped = absl::StrReplaceAll(path, {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}});
  return absl::StrCat(path[0] == '/' ? "file://" : "file:", escaped, "?immutable=1");
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path,
                                                                     const Options& options) {
  if (path.empty()) return absl::InvalidArgumentError("the ledger's path is empty");
  const bool immutable = options.access == Access::kReadImmutable;
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= options.access == Access::kWrite ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  if (immutable) flags |= SQLITE_OPEN_URI;
  // A path that starts with "file:" must not be taken for a URI, nor ":memory:" for no file at all.
  const std::string plain = path[0] == '/' ? path : absl::StrCat("./", path);
  const std::string name = immutable ? ImmutableUri(plain) : plain;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &db, flags,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  // The handle exists even after most failures and must be closed.
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(db));
  if (code != SQLITE_OK) return SqliteError(db, code, absl::StrCat("opening ", path));
  RETURN_IF_ERROR(database->Configure(options)) << "opening " << path;
  return database;
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::OpenInMemory() {
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(":memory:", &db,
                      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE |
                          SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY,
                      nullptr);
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(db));
  if (code != SQLITE_OK) return SqliteError(db, code, "opening a database in memory");
  RETURN_IF_ERROR(database->Configure({.access = Access::kWrite}));
  return database;
}

absl::Status SqliteDatabase::Configure(const Options& options) {
  const bool writes = options.access == Access::kWrite;
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  // The file may come from anywhere: its schema gets no power over this process.
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  if (!writes) {
    sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    return Execute("PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0;");
  }
  return Execute(
      absl::StrCat("PRAGMA synchronous=", options.durable ? "FULL" : "OFF",
                   "; PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; PRAGMA secure_delete=ON;"
                   "PRAGMA wal_autocheckpoint=",
                   options.checkpoint_pages, "; PRAGMA journal_size_limit=", kLogSizeLimitBytes));
}

SqliteDatabase::~SqliteDatabase() {
  cache_.clear();
  sqlite3_close(db_);
}

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return absl::OkStatus();
  return SqliteError(db_, code, "running a ledger statement");
}

absl::StatusOr<sqlite3_stmt*> SqliteDatabase::Compile(const std::string& sql, unsigned flags) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.c_str(), static_cast<int>(sql.size()) + 1, flags,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return SqliteError(db_, code, "preparing a ledger query");
  return statement;
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(const std::string& sql) {
  ASSIGN_OR_RETURN(sqlite3_stmt * statement, Compile(sql, 0));
  return SqliteStatement(db_, statement, SqliteStatement::AtEnd::kFinalize);
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Cached(const std::string& sql) {
  auto& slot = cache_[sql];
  if (slot == nullptr) {
    ASSIGN_OR_RETURN(sqlite3_stmt * statement, Compile(sql, SQLITE_PREPARE_PERSISTENT));
    slot.reset(statement);
  }
  return SqliteStatement(db_, slot.get(), SqliteStatement::AtEnd::kReset);
}

absl::StatusOr<int64_t> SqliteDatabase::QueryInt(const std::string& sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::InternalError(absl::StrCat("no row from: ", sql));
  return statement.Int(0);
}

absl::StatusOr<std::string> SqliteDatabase::QueryText(const std::string& sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::InternalError(absl::StrCat("no row from: ", sql));
  return statement.Bytes(0);
}

absl::StatusOr<std::vector<std::string>> SqliteDatabase::QueryTexts(const std::string& sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  std::vector<std::string> texts;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return texts;
    texts.push_back(statement.Bytes(0));
  }
}

bool SqliteDatabase::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

absl::StatusOr<SqliteTransaction> SqliteTransaction::Begin(SqliteDatabase& db, Kind kind) {
  ASSIGN_OR_RETURN(SqliteStatement begin,
                   db.Cached(kind == Kind::kImmediate ? "BEGIN IMMEDIATE" : "BEGIN"));
  RETURN_IF_ERROR(begin.Run());
  return SqliteTransaction(&db);
}

SqliteTransaction::SqliteTransaction(SqliteTransaction&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)) {}

SqliteTransaction::~SqliteTransaction() {
  // Some errors (a full disk, an I/O error) have rolled back already.
  if (db_ != nullptr && db_->in_transaction()) {
    sqlite3_exec(db_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

absl::Status SqliteTransaction::Commit() {
  ASSIGN_OR_RETURN(SqliteStatement commit, db_->Cached("COMMIT"));
  RETURN_IF_ERROR(commit.Run());  // the destructor rolls back
  db_ = nullptr;
  return absl::OkStatus();
}

}  // namespace kiln::storage
