#include "daemon/backup/restore.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "daemon/backup/archive.h"
#include "errors/error.h"
#include "storage/ledger_file.h"
#include "storage/migrations.h"

namespace kiln::backup {
namespace {

using errors::ErrorCode;
using errors::MakeError;

constexpr char kPartial[] = "restore.partial";
constexpr char kDecided[] = "restore.decided";
// Inside: the name of the folder for the old state.
constexpr char kOldStateName[] = "old-state";
constexpr absl::string_view kOldStatePrefix = "before-restore-";
// Moves into the state folder with the ledger: see WasRestored.
constexpr char kRestoredName[] = "restored";
constexpr char kFirmwareFolder[] = "firmware";
// The ledger itself last: while it is there, its log belongs to it.
constexpr const char* kLedgerFiles[] = {"ledger.db-wal", "ledger.db-shm", "ledger.db-journal",
                                        "ledger.db"};

constexpr uint32_t kPrivateFolder = 0700;
constexpr uint32_t kFolderMode = 0750;
constexpr mode_t kPrivateFile = 0600;
// As the pipeline's RecordWriter makes them.
constexpr uint32_t kRecordMode = 0640;
constexpr size_t kMaxNameFile = 256;
// A daily CSV of 100 000 boards has 30 MiB.
constexpr size_t kMaxRecordFile = size_t{256} << 20;

absl::Status Typed(const absl::Status& status) {
  return errors::TypedAs(
      absl::IsResourceExhausted(status) ? ErrorCode::kDiskFull : ErrorCode::kInternal, status);
}

absl::Status SystemError(int error, const std::string& doing, const std::string& path) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return MakeError(full ? ErrorCode::kDiskFull : ErrorCode::kInternal,
                   absl::StrCat(doing, " ", path, ": ", strerror(error)));
}

absl::Status SyncFolder(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, "opening", path);
  if (::fsync(fd.get()) != 0) return SystemError(errno, "syncing", path);
  return absl::OkStatus();
}

// Writes one new file, synced when its last piece has come.
absl::StatusOr<ContentSink> NewFile(const std::string& path) {
  auto fd = std::make_shared<base::UniqueFd>(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kPrivateFile));
  if (!fd->valid()) return SystemError(errno, "creating", path);
  return [fd, path](absl::string_view bytes) -> absl::Status {
    if (bytes.empty()) {
      return ::fsync(fd->get()) == 0 ? absl::OkStatus() : SystemError(errno, "syncing", path);
    }
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd->get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return SystemError(errno, "writing", path);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  };
}

// The moves of one restore that was decided on.
class Completion {
 public:
  Completion(const RestoreOptions& options, base::FileSystem& files)
      : options_(options),
        files_(files),
        state_(options.state_directory),
        decided_(absl::StrCat(state_, "/", kDecided)) {}

  absl::StatusOr<CompletedRestore> Run() {
    ASSIGN_OR_RETURN(const std::string old_name, OldStateName());
    CompletedRestore completed;
    completed.outcome.old_state = absl::StrCat(state_, "/", old_name);
    RETURN_IF_ERROR(Typed(files_.CreateDirectories(completed.outcome.old_state, kPrivateFolder)));
    RETURN_IF_ERROR(MoveLedger(completed.outcome.old_state));
    RETURN_IF_ERROR(MoveFirmware(completed.outcome.old_state));
    completed.records_missing = CopyRecords(completed.outcome);
    if (completed.records_missing.ok()) {
      Reach("restore:records");
      // By one rename, too: half of a removed folder would be a restore that cannot be completed.
      const std::string worthless = absl::StrCat(state_, "/", kPartial);
      RETURN_IF_ERROR(Typed(files_.RemoveAll(worthless)));
      RETURN_IF_ERROR(Typed(files_.RenameNoReplace(decided_, worthless)));
      Reach("restore:done");
      RETURN_IF_ERROR(Typed(files_.RemoveAll(worthless)));
    }
    return completed;
  }

 private:
  void Reach(const std::string& point) const {
    if (options_.failpoint) options_.failpoint(point);
  }

  absl::StatusOr<std::string> OldStateName() {
    absl::StatusOr<std::string> name =
        files_.ReadFile(absl::StrCat(decided_, "/", kOldStateName), kMaxNameFile);
    if (!name.ok()) return Typed(name.status());
    if (!absl::StartsWith(*name, kOldStatePrefix) || absl::StrContains(*name, '/')) {
      return MakeError(ErrorCode::kInternal,
                       absl::StrCat(decided_, "/", kOldStateName, " cannot be used"));
    }
    return name;
  }

  absl::Status Move(const std::string& from, const std::string& to) {
    if (!files_.Exists(from)) return absl::OkStatus();
    return Typed(files_.RenameNoReplace(from, to));
  }

  // Everything here is done while the new ledger is not in its place, and never after.
  absl::Status MoveLedger(const std::string& old_state) {
    const std::string source = absl::StrCat(decided_, "/", kLedgerName);
    if (!files_.Exists(source)) return absl::OkStatus();
    for (const char* name : kLedgerFiles) {
      RETURN_IF_ERROR(Move(absl::StrCat(state_, "/", name), absl::StrCat(old_state, "/", name)));
      Reach(absl::StrCat("restore:away:", name));
    }
    // Before the ledger, so that no station ever finds the one without the other.
    RETURN_IF_ERROR(
        Typed(files_.WriteFileAtomically(absl::StrCat(state_, "/", kRestoredName), "",
                                         base::FileSystem::IfExists::kReplace, kPrivateFile)));
    Reach("restore:marked");
    RETURN_IF_ERROR(Typed(files_.RenameNoReplace(source, absl::StrCat(state_, "/", kLedgerName))));
    Reach("restore:ledger");
    return absl::OkStatus();
  }

  absl::Status MoveFirmware(const std::string& old_state) {
    const std::string source = absl::StrCat(decided_, "/", kFirmwareFolder);
    if (!files_.Exists(source)) return absl::OkStatus();
    const std::string target = absl::StrCat(state_, "/", kFirmwareFolder);
    RETURN_IF_ERROR(Move(target, absl::StrCat(old_state, "/", kFirmwareFolder)));
    Reach("restore:away:firmware");
    RETURN_IF_ERROR(Typed(files_.RenameNoReplace(source, target)));
    Reach("restore:firmware");
    return absl::OkStatus();
  }

  // Into a folder that may be on another disk. A record is never written over another.
  absl::Status CopyRecords(RestoreOutcome& outcome) {
    const std::pair<const char*, std::string> folders[] = {
        {kRecordsFolder, options_.export_directory},
        {kFailedRecordsFolder, absl::StrCat(options_.export_directory, "/failed")}};
    for (const auto& [name, target] : folders) {
      const std::string source = absl::StrCat(decided_, "/", name);
      const auto records = files_.ListDirectory(source);
      if (absl::IsNotFound(records.status())) continue;
      if (!records.ok()) return Typed(records.status());
      for (const std::string& record : *records) {
        const std::string from = absl::StrCat(source, "/", record);
        if (absl::StrCat(name, "/", record) == kFailedRecordsFolder) continue;
        RETURN_IF_ERROR(Typed(files_.CreateDirectories(target, kFolderMode)));
        const auto content = files_.ReadFile(from, kMaxRecordFile);
        if (!content.ok()) return Typed(content.status());
        const absl::Status written =
            files_.WriteFileAtomically(absl::StrCat(target, "/", record), *content,
                                       base::FileSystem::IfExists::kFail, kRecordMode);
        if (!written.ok() && !absl::IsAlreadyExists(written)) return Typed(written);
        ++(written.ok() ? outcome.records_written : outcome.records_kept);
      }
    }
    return absl::OkStatus();
  }

  const RestoreOptions& options_;
  base::FileSystem& files_;
  const std::string state_;
  const std::string decided_;
};

absl::StatusOr<base::UniqueFd> LockStation(const std::string& state) {
  absl::StatusOr<base::UniqueFd> lock = storage::LockLedger(absl::StrCat(state, "/", kLedgerName));
  if (lock.ok()) return lock;
  return MakeError(ErrorCode::kRestoreRefused, lock.status().message());
}

// What a restore that was broken off at its question had unpacked: passwords, and as much of the
// disk as a whole station. One that still asks holds the lock.
void RemoveUndecided(const std::string& state, base::FileSystem& files) {
  const std::string partial = absl::StrCat(state, "/", kPartial);
  if (!files.Exists(partial)) return;
  if (const auto lock = LockStation(state); lock.ok()) files.RemoveAll(partial).IgnoreError();
}

}  // namespace

Restore::Restore(RestoreOptions options, base::FileSystem& files, base::UniqueFd lock)
    : options_(std::move(options)), files_(files), lock_(std::move(lock)) {}

Restore::~Restore() {
  if (decided_) return;
  files_.RemoveAll(absl::StrCat(options_.state_directory, "/", kPartial)).IgnoreError();
}

absl::StatusOr<std::unique_ptr<Restore>> Restore::Prepare(const std::string& archive,
                                                          const RestoreOptions& options,
                                                          base::FileSystem& files) {
  const std::string& state = options.state_directory;
  RETURN_IF_ERROR(Typed(files.CreateDirectories(state, kPrivateFolder)));
  ASSIGN_OR_RETURN(base::UniqueFd lock, LockStation(state));
  if (files.Exists(absl::StrCat(state, "/", kDecided))) {
    return MakeError(ErrorCode::kRestoreRefused,
                     "an earlier restore was interrupted; start the station, which completes it, "
                     "then stop it and restore again");
  }
  RETURN_IF_ERROR(Typed(files.RemoveAll(absl::StrCat(state, "/", kPartial))));
  std::unique_ptr<Restore> restore(new Restore(options, files, std::move(lock)));
  RETURN_IF_ERROR(restore->Unpack(archive)) << archive;
  restore->present_ = storage::ReadLedgerFacts(absl::StrCat(state, "/", kLedgerName));
  return restore;
}

absl::Status Restore::Unpack(const std::string& archive_path) {
  const std::string partial = absl::StrCat(options_.state_directory, "/", kPartial);
  for (const char* folder : {kImagesFolder, kBundlesFolder, kFailedRecordsFolder}) {
    RETURN_IF_ERROR(
        Typed(files_.CreateDirectories(absl::StrCat(partial, "/", folder), kFolderMode)));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::Open(archive_path));
  const auto refuse_newer = [](const BackupFacts& facts) -> absl::Status {
    if (facts.ledger.schema_version <= storage::LatestSchemaVersion()) return absl::OkStatus();
    return MakeError(ErrorCode::kRestoreRefused,
                     absl::StrCat("the backup was made by Kiln ", facts.kiln_version, " (schema ",
                                  facts.ledger.schema_version, "; this one knows ",
                                  storage::LatestSchemaVersion(), ")"));
  };
  const auto open = [&partial](const std::string& name) {
    return NewFile(absl::StrCat(partial, "/", name));
  };
  ASSIGN_OR_RETURN(facts_, ReadBackup(*archive, refuse_newer, open));

  const auto ledger = storage::VerifyLedgerFile(absl::StrCat(partial, "/", kLedgerName));
  if (!ledger.ok()) {
    const bool refused = absl::IsFailedPrecondition(ledger.status());
    return MakeError(refused ? ErrorCode::kRestoreRefused : ErrorCode::kBackupDamaged,
                     ledger.status().message());
  }
  if (*ledger != facts_.ledger) {
    return MakeError(ErrorCode::kBackupDamaged,
                     "the ledger in it is not the one that it says it holds");
  }
  for (const char* folder :
       {kImagesFolder, kBundlesFolder, kFirmwareFolder, kFailedRecordsFolder, kRecordsFolder}) {
    RETURN_IF_ERROR(SyncFolder(absl::StrCat(partial, "/", folder)));
  }
  return absl::OkStatus();
}

absl::StatusOr<RestoreOutcome> Restore::Commit(absl::Time now) {
  const std::string& state = options_.state_directory;
  const std::string partial = absl::StrCat(state, "/", kPartial);
  // A clock that was set back may name a second twice; a restore that found its folder full could
  // never be completed.
  std::string old_name;
  do {
    old_name =
        absl::StrCat(kOldStatePrefix, absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()));
    now += absl::Seconds(1);
  } while (files_.Exists(absl::StrCat(state, "/", old_name)));
  RETURN_IF_ERROR(
      Typed(files_.WriteFileAtomically(absl::StrCat(partial, "/", kOldStateName), old_name,
                                       base::FileSystem::IfExists::kReplace, kPrivateFile)));
  if (options_.failpoint) options_.failpoint("restore:checked");
  RETURN_IF_ERROR(Typed(files_.RenameNoReplace(partial, absl::StrCat(state, "/", kDecided))));
  decided_ = true;
  if (options_.failpoint) options_.failpoint("restore:decided");
  ASSIGN_OR_RETURN(const CompletedRestore completed, Completion(options_, files_).Run());
  RETURN_IF_ERROR(completed.records_missing)
      << "the ledger and the bundles are restored, but not "
         "every record; the station tries again when it starts";
  return completed.outcome;
}

absl::StatusOr<std::optional<CompletedRestore>> CompleteRestore(const RestoreOptions& options,
                                                                base::FileSystem& files) {
  if (!files.Exists(absl::StrCat(options.state_directory, "/", kDecided))) {
    RemoveUndecided(options.state_directory, files);
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const base::UniqueFd lock, LockStation(options.state_directory));
  ASSIGN_OR_RETURN(CompletedRestore completed, Completion(options, files).Run());
  return completed;
}

bool WasRestored(const std::string& state_directory, base::FileSystem& files) {
  return files.Exists(absl::StrCat(state_directory, "/", kRestoredName));
}

absl::Status ForgetRestored(const std::string& state_directory, base::FileSystem& files) {
  return files.RemoveAll(absl::StrCat(state_directory, "/", kRestoredName));
}

}  // namespace kiln::backup
