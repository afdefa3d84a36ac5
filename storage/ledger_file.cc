#include "storage/ledger_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_builder.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "storage/event_chain.h"
#include "storage/ledger_backup.h"
#include "storage/migrations.h"

namespace kiln::storage {
namespace {

constexpr mode_t kOwnerOnly = 0600;
// https://www.sqlite.org/fileformat.html, section 1.3.
constexpr size_t kHeaderBytes = 100;
constexpr char kMagic[16] = "SQLite format 3";
constexpr size_t kApplicationIdOffset = 68;  // big-endian
// Files SQLite keeps beside a database.
constexpr const char* kSideFiles[] = {"-wal", "-shm", "-journal"};

absl::Status SystemError(int error, const std::string& doing, const std::string& path) {
  const std::string detail = absl::StrCat(doing, " ", path, ": ", strerror(error));
  const bool full = error == ENOSPC || error == EDQUOT;
  return errors::MakeError(
      full ? errors::ErrorCode::kDiskFull : errors::ErrorCode::kLedgerWriteFailed, detail);
}

absl::Status Damaged(const std::string& path, absl::string_view why) {
  return errors::MakeError(
      errors::ErrorCode::kLedgerDamaged,
      absl::StrCat("the ledger ", path, " is damaged and was left untouched: ", std::string(why),
                   ". Keep a copy of it and of the files beside it, restore the newest backup to "
                   "this path, and start the station again"));
}

// Bytes in a file; -1 when there is none.
int64_t SizeOf(const std::string& path) {
  struct stat facts = {};
  return ::stat(path.c_str(), &facts) == 0 ? static_cast<int64_t>(facts.st_size) : -1;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status SyncFile(const std::string& path, int flags) {
  base::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, "opening", path);
  if (::fsync(fd.get()) != 0) return SystemError(errno, "syncing", path);
  return absl::OkStatus();
}

void RemoveWithSideFiles(const std::string& path) {
  ::unlink(path.c_str());
  for (const char* suffix : kSideFiles) ::unlink(absl::StrCat(path, suffix).c_str());
}

absl::Status CreateEmpty(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kOwnerOnly));
  if (!fd.valid()) return SystemError(errno, "creating", path);
  return absl::OkStatus();
}

// Moves a finished file to its name, for good.
absl::Status Publish(const std::string& from, const std::string& to, bool durable) {
  if (durable) {
    RETURN_IF_ERROR(SyncFile(from, O_RDONLY));
  }
  if (::rename(from.c_str(), to.c_str()) != 0) return SystemError(errno, "renaming to", to);
  if (durable) {
    RETURN_IF_ERROR(SyncFile(FolderOf(to), O_RDONLY | O_DIRECTORY));
  }
  return absl::OkStatus();
}

absl::Status BuildLedger(const std::string& path, const LedgerOptions& options) {
  RETURN_IF_ERROR(CreateEmpty(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDatabase> db,
                   SqliteDatabase::Open(path, {.access = SqliteDatabase::Access::kWrite,
                                               .vfs = options.vfs,
                                               .durable = options.durable}));
  // Nobody sees this file before it is complete, so a rollback journal in memory will do.
  RETURN_IF_ERROR(db->Execute(
      absl::StrCat("PRAGMA journal_mode=MEMORY; PRAGMA application_id=", kApplicationId)));
  RETURN_IF_ERROR(Migrate(*db, 0, LatestSchemaVersion()));
  ASSIGN_OR_RETURN(const std::string mode, db->QueryText("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return errors::MakeError(
        errors::ErrorCode::kLedgerWriteFailed,
        absl::StrCat("the folder of ", path, " cannot hold a write-ahead log"));
  }
  return absl::OkStatus();
}

// Who is at `path`, from its first bytes: a ledger, or something else.
absl::Status CheckHeader(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, "opening", path);
  struct stat facts = {};
  if (::fstat(fd.get(), &facts) != 0) return SystemError(errno, "looking at", path);
  if (!S_ISREG(facts.st_mode)) return Damaged(path, "it is not a file");
  std::array<uint8_t, kHeaderBytes> header = {};
  const ssize_t got = ::pread(fd.get(), header.data(), header.size(), 0);
  if (got < 0) return SystemError(errno, "reading", path);
  if (static_cast<size_t>(got) < header.size()) {
    return Damaged(path, absl::StrCat("it has only ", got, " bytes"));
  }
  if (std::memcmp(header.data(), kMagic, sizeof(kMagic)) != 0) {
    return Damaged(path, "it is not an SQLite database");
  }
  uint32_t application_id = 0;
  for (size_t i = 0; i < 4; ++i)
    application_id = application_id << 8 | header[kApplicationIdOffset + i];
  if (application_id != kApplicationId) {
    return Damaged(path, absl::StrCat("it is a database of another program (application id ",
                                      application_id, ")"));
  }
  return absl::OkStatus();
}

// Whether every table, index and trigger of the schema is there: an event table without its guards
// is no ledger. Others are left alone.
absl::Status CheckSchema(SqliteDatabase& db, const std::string& path, int version) {
  constexpr char kObjects[] =
      "SELECT type || ' ' || name FROM sqlite_schema WHERE name IS NOT NULL";
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDatabase> model, SqliteDatabase::OpenInMemory());
  RETURN_IF_ERROR(Migrate(*model, 0, version));
  ASSIGN_OR_RETURN(const std::vector<std::string> expected, model->QueryTexts(kObjects));
  ASSIGN_OR_RETURN(const std::vector<std::string> found, db.QueryTexts(kObjects));
  for (const std::string& object : expected) {
    if (std::find(found.begin(), found.end(), object) == found.end()) {
      return Damaged(path, absl::StrCat("its ", object, " is missing"));
    }
  }
  return absl::OkStatus();
}

// SQLite reads a page that was cut short as if zeros followed, which a page that happens to end in
// zeros does not show. For a ledger without a log: a crash during a checkpoint may leave a part of
// a page, which the log still has.
absl::Status CheckWholePages(SqliteDatabase& db, const std::string& path) {
  ASSIGN_OR_RETURN(const int64_t page_size, db.QueryInt("PRAGMA page_size"));
  const int64_t size = SizeOf(path);
  if (page_size > 0 && size % page_size == 0) return absl::OkStatus();
  return Damaged(path, absl::StrCat("its ", size, " bytes are not a whole number of pages"));
}

absl::StatusOr<int> CheckContent(SqliteDatabase& db, const std::string& path) {
  ASSIGN_OR_RETURN(const int64_t version, db.QueryInt("PRAGMA user_version"));
  if (version > LatestSchemaVersion()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ledger ", path, " was written by a newer Kiln (schema ", version,
                     "; this one knows ", LatestSchemaVersion(), "). Install that version again"));
  }
  if (version < 1) return Damaged(path, "it has no schema");
  ASSIGN_OR_RETURN(const std::string verdict, db.QueryText("PRAGMA quick_check(1)"));
  if (verdict != "ok") return Damaged(path, verdict);
  RETURN_IF_ERROR(CheckSchema(db, path, static_cast<int>(version)));
  RETURN_IF_ERROR(CheckChainHead(db, static_cast<int>(version)));
  return static_cast<int>(version);
}

}  // namespace

absl::StatusOr<base::UniqueFd> LockLedger(const std::string& path) {
  const std::string lock = absl::StrCat(path, ".lock");
  base::UniqueFd fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly));
  if (!fd.valid()) return SystemError(errno, "opening", lock);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError(errno, "locking", lock);
    char holder[16] = {};
    if (::pread(fd.get(), holder, sizeof(holder) - 1, 0) < 0) holder[0] = '\0';
    return errors::MakeError(errors::ErrorCode::kLedgerWriteFailed,
                             absl::StrCat("the ledger ", path, " is in use by another process (",
                                          holder, "); only one station may write it"));
  }
  // For the message above; the lock itself is what counts.
  const std::string self = absl::StrCat("pid ", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), self.data(), self.size(), 0) < 0) {
    return SystemError(errno, "writing", lock);
  }
  return fd;
}

absl::StatusOr<Presence> FindLedger(const std::string& path) {
  struct stat facts = {};
  if (::stat(path.c_str(), &facts) == 0) return Presence::kPresent;
  if (errno != ENOENT) return SystemError(errno, "looking for", path);
  if (SizeOf(absl::StrCat(path, "-wal")) > 0) {
    return Damaged(path, "the file is gone, but its log (-wal) is there");
  }
  return Presence::kAbsent;
}

absl::Status CreateLedger(const std::string& path, const LedgerOptions& options) {
  const std::string unfinished = absl::StrCat(path, ".new");
  RemoveWithSideFiles(unfinished);  // of a start that was cut off
  absl::Status status = BuildLedger(unfinished, options);
  // An empty log or shared-memory file of a ledger that was removed says nothing about this one.
  for (const char* suffix : kSideFiles) ::unlink(absl::StrCat(path, suffix).c_str());
  if (status.ok()) status = Publish(unfinished, path, options.durable);
  if (!status.ok()) RemoveWithSideFiles(unfinished);
  return base::WithContext(status, "creating the ledger");
}

absl::StatusOr<int> CheckLedger(const std::string& path, const LedgerOptions& options) {
  // This opens and closes the file by hand, which drops every POSIX lock of this process on it. The
  // ledger's lock is held, so there is no connection yet.
  RETURN_IF_ERROR(CheckHeader(path));
  // Without a log there is nothing to recover, and the strictest way to open the file will do.
  const bool has_log = SizeOf(absl::StrCat(path, "-wal")) > 0;
  const bool has_journal = SizeOf(absl::StrCat(path, "-journal")) > 0;
  absl::StatusOr<int> version = [&]() -> absl::StatusOr<int> {
    ASSIGN_OR_RETURN(
        const std::unique_ptr<SqliteDatabase> db,
        SqliteDatabase::Open(
            path, {.access = has_log || has_journal ? SqliteDatabase::Access::kRead
                                                    : SqliteDatabase::Access::kReadImmutable,
                   .vfs = options.vfs}));
    ASSIGN_OR_RETURN(const int found, CheckContent(*db, path));
    if (!has_log && !has_journal) {
      RETURN_IF_ERROR(CheckWholePages(*db, path));
    }
    return found;
  }();
  if (version.ok() || !errors::Is(version.status(), errors::ErrorCode::kLedgerDamaged) ||
      absl::StrContains(version.status().message(), "left untouched")) {
    return version;
  }
  return Damaged(path, version.status().message());
}

absl::Status VerifyLedger(SqliteDatabase& db, int schema_version, VerifyResult& result) {
  RETURN_IF_ERROR(VerifyChain(db, result));
  {
    // The newest event and the head that is kept apart must be of one moment.
    ASSIGN_OR_RETURN(SqliteTransaction moment,
                     SqliteTransaction::Begin(db, SqliteTransaction::Kind::kRead));
    RETURN_IF_ERROR(CheckChainHead(db, schema_version));
  }
  ASSIGN_OR_RETURN(const std::string integrity, db.QueryText("PRAGMA integrity_check(1)"));
  if (integrity != "ok") return errors::MakeError(errors::ErrorCode::kLedgerDamaged, integrity);
  ASSIGN_OR_RETURN(const int64_t orphans,
                   db.QueryInt("SELECT count(*) FROM pragma_foreign_key_check"));
  if (orphans > 0) {
    return errors::MakeError(errors::ErrorCode::kLedgerDamaged,
                             absl::StrCat(orphans, " rows refer to rows that are gone"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> BackUpLedger(SqliteDatabase& db, const std::string& path, int version,
                                         const LedgerOptions& options) {
  ASSIGN_OR_RETURN(const ChainHead head, ReadChainHead(db));
  // Named by the head of its chain: an older copy of the same name says the same.
  std::string target = absl::StrCat(path, ".schema-", version, ".sequence-", head.sequence, "-",
                                    base::HexOf(head.hash).substr(0, 8), ".backup");
  const std::string unfinished = absl::StrCat(target, ".partial");
  RemoveWithSideFiles(unfinished);
  absl::Status status = CopyDatabase(db, unfinished, options);
  if (status.ok()) status = Publish(unfinished, target, options.durable);
  if (!status.ok()) {
    RemoveWithSideFiles(unfinished);
    return base::WithContext(status, "backing up the ledger before its migration");
  }
  return target;
}

}  // namespace kiln::storage
