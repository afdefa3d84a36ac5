#include "storage/ledger_backup.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "errors/error.h"
#include "storage/event_chain.h"
#include "storage/ledger_file.h"

namespace kiln::storage {
namespace {

constexpr mode_t kOwnerOnly = 0600;

bool IsThere(const std::string& path) {
  struct stat facts = {};
  return ::stat(path.c_str(), &facts) == 0 && facts.st_size > 0;
}

absl::StatusOr<LedgerFacts> FactsOf(SqliteDatabase& db) {
  ASSIGN_OR_RETURN(const int64_t version, db.QueryInt("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const ChainHead head, ReadChainHead(db));
  return LedgerFacts{.schema_version = static_cast<int>(version),
                     .last_sequence = head.sequence,
                     .head_hex = base::HexOf(head.hash)};
}

}  // namespace

absl::Status CopyDatabase(SqliteDatabase& db, const std::string& target,
                          const LedgerOptions& options) {
  {
    base::UniqueFd fd(::open(target.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kOwnerOnly));
    if (!fd.valid()) {
      return errors::MakeError(
          errno == ENOSPC ? errors::ErrorCode::kDiskFull : errors::ErrorCode::kLedgerWriteFailed,
          absl::StrCat("creating ", target, ": ", strerror(errno)));
    }
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDatabase> copy,
                   SqliteDatabase::Open(target, {.access = SqliteDatabase::Access::kWrite,
                                                 .vfs = options.vfs,
                                                 .durable = options.durable}));
  sqlite3_backup* backup = sqlite3_backup_init(copy->handle(), "main", db.handle(), "main");
  if (backup == nullptr) {
    return SqliteError(copy->handle(), sqlite3_extended_errcode(copy->handle()), "copying");
  }
  sqlite3_backup_step(backup, -1);  // all pages; finish answers any error of it
  const int code = sqlite3_backup_finish(backup);
  if (code != SQLITE_OK) return SqliteError(copy->handle(), code, "copying");
  return absl::OkStatus();
}

absl::StatusOr<LedgerFacts> CopyLedger(const std::string& path, const std::string& target) {
  if (!IsThere(path)) return absl::NotFoundError(absl::StrCat("there is no ledger ", path));
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDatabase> db,
                     SqliteDatabase::Open(path, {.access = SqliteDatabase::Access::kRead}));
    RETURN_IF_ERROR(CopyDatabase(*db, target, {.durable = false})) << "copying the ledger " << path;
  }
  return VerifyLedgerFile(target);
}

absl::StatusOr<LedgerFacts> VerifyLedgerFile(const std::string& path) {
  ASSIGN_OR_RETURN(const int version, CheckLedger(path, {}));
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDatabase> db,
                   SqliteDatabase::Open(path, {.access = SqliteDatabase::Access::kReadImmutable}));
  VerifyResult result;
  RETURN_IF_ERROR(VerifyLedger(*db, version, result)) << "the ledger " << path;
  return FactsOf(*db);
}

absl::StatusOr<LedgerFacts> ReadLedgerFacts(const std::string& path) {
  if (!IsThere(path)) return absl::NotFoundError(absl::StrCat("there is no ledger ", path));
  const bool has_log = IsThere(absl::StrCat(path, "-wal"));
  ASSIGN_OR_RETURN(
      const std::unique_ptr<SqliteDatabase> db,
      SqliteDatabase::Open(path, {.access = has_log ? SqliteDatabase::Access::kRead
                                                    : SqliteDatabase::Access::kReadImmutable}));
  return FactsOf(*db);
}

}  // namespace kiln::storage
