#include "storage/ledger.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "errors/error.h"
#include "storage/batch_queries.h"
#include "storage/batch_writes.h"
#include "storage/deployment_queries.h"
#include "storage/deployment_writes.h"
#include "storage/due_records.h"
#include "storage/event_chain.h"
#include "storage/ledger_file.h"
#include "storage/migrations.h"
#include "storage/sqlite_database.h"

namespace kiln::storage {
namespace {

// CheckHealth calls the disk full below this: a commit with its checkpoint needs far less.
constexpr uint64_t kLeastFreeBytes = uint64_t{1} << 20;

absl::Status NotFound(const std::string& id) {
  return errors::MakeError(errors::ErrorCode::kDeploymentNotFound,
                           absl::StrCat("no deployment ", id));
}

absl::Status NoBatch(const std::string& id) {
  return errors::MakeError(errors::ErrorCode::kBatchNotFound, absl::StrCat("no batch ", id));
}

class SqliteLedger final : public Ledger {
 public:
  // What Open has gathered.
  struct Parts {
    base::UniqueFd lock;
    std::unique_ptr<SqliteDatabase> writer;
    std::unique_ptr<SqliteDatabase> reader;
    ino_t inode = 0;
  };

  SqliteLedger(const std::string& path, base::Clock& clock, const LedgerOptions& options,
               Parts parts)
      : path_(path),
        clock_(clock),
        options_(options),
        lock_(std::move(parts.lock)),
        inode_(parts.inode),
        writer_(std::move(parts.writer)),
        reader_(std::move(parts.reader)) {}

  ~SqliteLedger() override {
    // The writer goes last: the last connection checkpoints and removes the log.
    absl::MutexLock write_lock(&write_mutex_);
    absl::MutexLock read_lock(&read_mutex_);
    reader_.reset();
    writer_.reset();
  }

  absl::StatusOr<CreateOutcome> CreateDeployment(const Deployment& deployment,
                                                 PayloadOf payload) override {
    return Write<CreateOutcome>(
        [&](const WriteScope& scope) { return WriteNewDeployment(scope, deployment, payload); });
  }

  absl::StatusOr<Deployment> UpdateDeployment(const Deployment& deployment,
                                              int64_t expected_sequence,
                                              PayloadOf payload) override {
    return Write<Deployment>([&](const WriteScope& scope) {
      return WriteDeploymentUpdate(scope, deployment, expected_sequence, payload);
    });
  }

  absl::StatusOr<EventRecord> AppendEvent(const EventDraft& draft) override {
    return Write<EventRecord>([&](const WriteScope& scope) -> absl::StatusOr<EventRecord> {
      ASSIGN_OR_RETURN(ChainHead head, ReadChainHead(scope.db));
      ASSIGN_OR_RETURN(EventRecord event, AppendToChain(scope.db, head, draft, scope.now));
      scope.events.push_back(event);
      return event;
    });
  }

  absl::StatusOr<Deployment> GetDeployment(const std::string& id) override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(std::optional<Deployment> found, FindDeployment(*reader_, id));
    if (!found.has_value()) return NotFound(id);
    return *std::move(found);
  }

  absl::StatusOr<Deployment> FindDeploymentByRequest(const std::string& request_id) override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(std::optional<Deployment> found, FindByRequestId(*reader_, request_id));
    if (!found.has_value()) return NotFound(absl::StrCat("of request ", request_id));
    return *std::move(found);
  }

  absl::StatusOr<std::vector<Deployment>> ListDeployments(const DeploymentQuery& query) override {
    absl::MutexLock lock(&read_mutex_);
    return QueryDeployments(*reader_, query);
  }

  absl::StatusOr<std::vector<Deployment>> FindDeploymentsNotEnded() override {
    absl::MutexLock lock(&read_mutex_);
    return QueryNotEnded(*reader_);
  }

  absl::StatusOr<StateCounts> CountByState() override {
    absl::MutexLock lock(&read_mutex_);
    return CountDeployments(*reader_);
  }

  absl::StatusOr<std::vector<DueRecord>> FindDueRecords(int limit) override {
    absl::MutexLock lock(&read_mutex_);
    return QueryDueRecords(*reader_, limit);
  }

  absl::Status ForgetDueRecord(const std::string& deployment_id, int attempt) override {
    absl::MutexLock lock(&write_mutex_);
    const absl::Status status = ForgetLocked(deployment_id, attempt);
    NoteWrite(status);
    return status;
  }

  absl::StatusOr<OutcomeCounts> CountOutcomes(absl::Time after, absl::Time before) override {
    absl::MutexLock lock(&read_mutex_);
    return QueryOutcomes(*reader_, after, before);
  }

  absl::StatusOr<std::vector<EventRecord>> ListEvents(const EventQuery& query) override {
    absl::MutexLock lock(&read_mutex_);
    return QueryEvents(*reader_, query);
  }

  absl::StatusOr<int64_t> LastSequence() override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(const ChainHead head, ReadChainHead(*reader_));
    return head.sequence;
  }

  absl::StatusOr<int64_t> FirstSequence() override {
    absl::MutexLock lock(&read_mutex_);
    return reader_->QueryInt("SELECT coalesce(min(sequence), 1) FROM events");
  }

  absl::StatusOr<BatchOutcome> CreateBatch(const Batch& batch,
                                           const std::vector<BatchCustomer>& customers) override {
    return Write<BatchOutcome>(
        [&](const WriteScope& scope) { return CreateBatchIn(scope, batch, customers); });
  }

  absl::StatusOr<Batch> ChangeBatch(const std::string& id, BatchChange change) override {
    return Write<Batch>([&](const WriteScope& scope) { return ChangeBatchIn(scope, id, change); });
  }

  absl::StatusOr<Batch> AllowBatchBoard(const std::string& id, const std::string& mac) override {
    return Write<Batch>([&](const WriteScope& scope) { return AllowBoardIn(scope, id, mac); });
  }

  absl::StatusOr<Batch> GetBatch(const std::string& id) override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(const SqliteTransaction snapshot, BeginRead());
    ASSIGN_OR_RETURN(std::optional<Batch> found, FindBatch(*reader_, id));
    if (!found.has_value()) return NoBatch(id);
    return *std::move(found);
  }

  absl::StatusOr<Batch> FindBatchByRequest(const std::string& request_id) override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(const SqliteTransaction snapshot, BeginRead());
    ASSIGN_OR_RETURN(std::optional<Batch> found, FindBatchByRequestId(*reader_, request_id));
    if (!found.has_value()) return NoBatch(absl::StrCat("of request ", request_id));
    return *std::move(found);
  }

  absl::StatusOr<std::vector<Batch>> ListBatches(const BatchQuery& query) override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(const SqliteTransaction snapshot, BeginRead());
    return QueryBatches(*reader_, query);
  }

  absl::StatusOr<std::vector<Batch>> FindBatchesThatTakeBoards() override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(const SqliteTransaction snapshot, BeginRead());
    return QueryBatchesThatTakeBoards(*reader_);
  }

  absl::StatusOr<std::vector<BatchSlot>> ListBatchSlots(const std::string& id, int after_slot,
                                                        int limit) override {
    absl::MutexLock lock(&read_mutex_);
    ASSIGN_OR_RETURN(const SqliteTransaction snapshot, BeginRead());
    ASSIGN_OR_RETURN(const std::optional<Batch> found, FindBatch(*reader_, id));
    if (!found.has_value()) return NoBatch(id);
    return QueryBatchSlots(*reader_, id, after_slot, limit);
  }

  void SetBatchPayload(BatchPayload payload) override {
    absl::MutexLock lock(&write_mutex_);
    batch_payload_ = std::move(payload);
  }

  void SetCommitObserver(std::function<void(const EventRecord&)> observer) override {
    absl::MutexLock lock(&write_mutex_);
    observer_ = std::move(observer);
  }

  absl::StatusOr<VerifyResult> Verify() override;
  absl::Status CheckHealth() override;

  int schema_version() const override { return LatestSchemaVersion(); }

 private:
  // One transaction: what `write` does, then its events are announced.
  template <typename Answer, typename Function>
  absl::StatusOr<Answer> Write(const Function& write) ABSL_LOCKS_EXCLUDED(write_mutex_) {
    absl::MutexLock lock(&write_mutex_);
    std::vector<EventRecord> events;
    absl::StatusOr<Answer> answer = WriteLocked<Answer>(write, events);
    NoteWrite(answer.status());
    if (!answer.ok()) return answer;
    for (const EventRecord& event : events) Announce(event);
    return answer;
  }
  template <typename Answer, typename Function>
  absl::StatusOr<Answer> WriteLocked(const Function& write, std::vector<EventRecord>& events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_) {
    ASSIGN_OR_RETURN(SqliteTransaction transaction,
                     SqliteTransaction::Begin(*writer_, SqliteTransaction::Kind::kImmediate));
    ASSIGN_OR_RETURN(Answer answer,
                     write(WriteScope{*writer_, clock_.Now(), batch_payload_, events}));
    RETURN_IF_ERROR(transaction.Commit());
    return answer;
  }
  // Several reads of one moment.
  absl::StatusOr<SqliteTransaction> BeginRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(read_mutex_) {
    return SqliteTransaction::Begin(*reader_, SqliteTransaction::Kind::kRead);
  }
  absl::Status ForgetLocked(const std::string& deployment_id, int attempt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void Announce(const EventRecord& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_) {
    if (observer_) observer_(event);
  }
  // Remembers whether the disk took the last write, for CheckHealth. A write that failed for
  // another reason has not got that far.
  void NoteWrite(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_) {
    if (status.ok()) {
      disk_refused_ = false;
    } else if (errors::Is(status, errors::ErrorCode::kDiskFull) ||
               errors::Is(status, errors::ErrorCode::kLedgerWriteFailed)) {
      disk_refused_ = true;
    }
  }
  absl::Status ProbeWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);

  const std::string path_;
  base::Clock& clock_;
  const LedgerOptions options_;
  const base::UniqueFd lock_;
  const ino_t inode_;

  absl::Mutex write_mutex_ ABSL_ACQUIRED_BEFORE(read_mutex_);
  std::unique_ptr<SqliteDatabase> writer_ ABSL_GUARDED_BY(write_mutex_);
  std::function<void(const EventRecord&)> observer_ ABSL_GUARDED_BY(write_mutex_);
  BatchPayload batch_payload_ ABSL_GUARDED_BY(write_mutex_) = [](const Batch& batch) {
    return absl::StrCat(batch.id, " ", static_cast<int>(batch.state), " ", batch.sequence);
  };
  bool disk_refused_ ABSL_GUARDED_BY(write_mutex_) = false;

  absl::Mutex read_mutex_;
  std::unique_ptr<SqliteDatabase> reader_ ABSL_GUARDED_BY(read_mutex_);
};

absl::Status SqliteLedger::ForgetLocked(const std::string& deployment_id, int attempt) {
  ASSIGN_OR_RETURN(SqliteTransaction transaction,
                   SqliteTransaction::Begin(*writer_, SqliteTransaction::Kind::kImmediate));
  RETURN_IF_ERROR(DeleteDueRecord(*writer_, deployment_id, attempt));
  return transaction.Commit();
}

absl::StatusOr<VerifyResult> SqliteLedger::Verify() {
  // A connection of its own: a long check keeps no reader waiting.
  ASSIGN_OR_RETURN(
      const std::unique_ptr<SqliteDatabase> db,
      SqliteDatabase::Open(path_, {.access = SqliteDatabase::Access::kRead, .vfs = options_.vfs}));
  VerifyResult result;
  absl::Status status = VerifyLedger(*db, LatestSchemaVersion(), result);
  if (status.ok()) {
    result.ok = true;
  } else if (errors::Is(status, errors::ErrorCode::kLedgerDamaged)) {
    result.problem = std::string(status.message());
  } else {
    return status;
  }
  return result;
}

absl::Status SqliteLedger::ProbeWrite() {
  // Rewrites the header page with what it says already: a real commit that changes nothing.
  ASSIGN_OR_RETURN(SqliteTransaction transaction,
                   SqliteTransaction::Begin(*writer_, SqliteTransaction::Kind::kImmediate));
  RETURN_IF_ERROR(writer_->Execute(absl::StrCat("PRAGMA user_version=", LatestSchemaVersion())));
  return transaction.Commit();
}

absl::Status SqliteLedger::CheckHealth() {
  struct stat facts = {};
  if (::stat(path_.c_str(), &facts) != 0 || facts.st_ino != inode_) {
    return errors::MakeError(errors::ErrorCode::kLedgerDamaged,
                             absl::StrCat("the ledger ", path_,
                                          " was moved or replaced while the station ran; put it "
                                          "back and start the station again"));
  }
  if (::access(path_.c_str(), W_OK) != 0) {
    return errors::MakeError(errors::ErrorCode::kLedgerWriteFailed,
                             absl::StrCat("the ledger ", path_, ": ", strerror(errno)));
  }
  struct statvfs space = {};
  if (::statvfs(path_.c_str(), &space) == 0 &&
      uint64_t{space.f_bavail} * space.f_frsize < kLeastFreeBytes) {
    return errors::MakeError(errors::ErrorCode::kDiskFull,
                             absl::StrCat("less than 1 MiB is left for the ledger ", path_));
  }
  {
    absl::MutexLock lock(&read_mutex_);
    RETURN_IF_ERROR(ReadChainHead(*reader_).status());
  }
  absl::MutexLock lock(&write_mutex_);
  if (!disk_refused_) return absl::OkStatus();
  const absl::Status probe = ProbeWrite();
  NoteWrite(probe);
  return probe;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::string& path, base::Clock& clock) {
  return Open(path, clock, LedgerOptions());
}

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::string& path, base::Clock& clock,
                                                     const LedgerOptions& options) {
  SqliteLedger::Parts parts;
  ASSIGN_OR_RETURN(parts.lock, LockLedger(path));
  ASSIGN_OR_RETURN(const Presence presence, FindLedger(path));
  if (presence == Presence::kAbsent) {
    RETURN_IF_ERROR(CreateLedger(path, options));
  }
  ASSIGN_OR_RETURN(const int version, CheckLedger(path, options));
  // Ledgers may have been copied about with looser modes; secrets are inside.
  if (::chmod(path.c_str(), 0600) != 0) {
    return errors::MakeError(errors::ErrorCode::kLedgerWriteFailed,
                             absl::StrCat("making ", path, " private: ", strerror(errno)));
  }
  ASSIGN_OR_RETURN(parts.writer,
                   SqliteDatabase::Open(path, {.access = SqliteDatabase::Access::kWrite,
                                               .vfs = options.vfs,
                                               .durable = options.durable,
                                               .checkpoint_pages = options.checkpoint_pages}));
  ASSIGN_OR_RETURN(const std::string mode, parts.writer->QueryText("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return errors::MakeError(errors::ErrorCode::kLedgerWriteFailed,
                             absl::StrCat("the ledger ", path, " cannot keep a write-ahead log"));
  }
  if (version < LatestSchemaVersion()) {
    RETURN_IF_ERROR(BackUpLedger(*parts.writer, path, version, options).status());
    RETURN_IF_ERROR(Migrate(*parts.writer, version, LatestSchemaVersion()));
  }
  ASSIGN_OR_RETURN(
      parts.reader,
      SqliteDatabase::Open(path, {.access = SqliteDatabase::Access::kRead, .vfs = options.vfs}));
  struct stat facts = {};
  if (::stat(path.c_str(), &facts) == 0) parts.inode = facts.st_ino;
  return std::make_unique<SqliteLedger>(path, clock, options, std::move(parts));
}

std::string Ledger::SqliteVersion() { return sqlite3_libversion(); }

}  // namespace kiln::storage
