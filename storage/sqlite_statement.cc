#include "storage/sqlite_statement.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "errors/error.h"

namespace kiln::storage {

absl::Status SqliteError(sqlite3* db, int code, absl::string_view doing) {
  const bool of_this_call = db != nullptr && sqlite3_extended_errcode(db) == code;
  const std::string detail = absl::StrCat(std::string(doing), ": ",
                                          of_this_call ? sqlite3_errmsg(db) : sqlite3_errstr(code),
                                          " (SQLite error ", code, ")");
  switch (code & 0xff) {  // the primary code, https://www.sqlite.org/rescode.html
    case SQLITE_FULL:
      return errors::MakeError(errors::ErrorCode::kDiskFull, detail);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
      // A full disk also shows up as a failed extension of the shared-memory file.
      const int system = of_this_call ? sqlite3_system_errno(db) : 0;
      return errors::MakeError(system == ENOSPC || system == EDQUOT
                                   ? errors::ErrorCode::kDiskFull
                                   : errors::ErrorCode::kLedgerWriteFailed,
                               detail);
    }
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return errors::MakeError(errors::ErrorCode::kLedgerWriteFailed, detail);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return errors::MakeError(errors::ErrorCode::kLedgerDamaged, detail);
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
      return absl::InvalidArgumentError(detail);
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(detail);
    default:
      return absl::InternalError(detail);
  }
}

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : db_(other.db_),
      statement_(std::exchange(other.statement_, nullptr)),
      at_end_(other.at_end_),
      bind_error_(other.bind_error_) {}

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  if (at_end_ == AtEnd::kFinalize) {
    sqlite3_finalize(statement_);
  } else {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
}

void SqliteStatement::Note(int code) {
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
}

SqliteStatement& SqliteStatement::BindInt(int parameter, int64_t value) {
  Note(sqlite3_bind_int64(statement_, parameter, value));
  return *this;
}

SqliteStatement& SqliteStatement::BindText(int parameter, absl::string_view text) {
  // A null pointer would bind NULL; an empty view may hold one.
  Note(sqlite3_bind_text64(statement_, parameter, text.empty() ? "" : text.data(), text.size(),
                           SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(int parameter, absl::string_view bytes) {
  Note(sqlite3_bind_blob64(statement_, parameter, bytes.empty() ? "" : bytes.data(), bytes.size(),
                           SQLITE_TRANSIENT));
  return *this;
}

SqliteStatement& SqliteStatement::BindTime(int parameter, absl::Time time) {
  if (time == absl::InfinitePast()) {
    Note(sqlite3_bind_null(statement_, parameter));
    return *this;
  }
  return BindInt(parameter, absl::ToUnixMicros(time));
}

absl::StatusOr<bool> SqliteStatement::Step() {
  if (bind_error_ != SQLITE_OK) return SqliteError(db_, bind_error_, "binding a ledger query");
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(db_, sqlite3_extended_errcode(db_), "running a ledger query");
}

absl::Status SqliteStatement::Run() {
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string SqliteStatement::Bytes(int column) const {
  // The order matters: the pointer first, then its length.
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr || size <= 0) return {};
  return {static_cast<const char*>(bytes), static_cast<size_t>(size)};
}

absl::Time SqliteStatement::Time(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return absl::InfinitePast();
  return absl::FromUnixMicros(Int(column));
}

}  // namespace kiln::storage
