#include "daemon/backup/backup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/backup/archive.h"
#include "daemon/backup/backup_folder.h"
#include "errors/error.h"

namespace kiln::backup {
namespace {

using errors::ErrorCode;
using errors::MakeError;

constexpr uint32_t kFolderMode = 0750;
// What is not finished begins like this, so that the next backup finds and removes it.
constexpr absl::string_view kUnfinished = ".unfinished-";
constexpr char kLockName[] = ".lock";

absl::Status Typed(const absl::Status& status) {
  return errors::TypedAs(
      absl::IsResourceExhausted(status) ? ErrorCode::kDiskFull : ErrorCode::kBackupFailed, status);
}

// Held while a backup is made; two would remove each other's files. Not valid: another one is being
// made.
absl::StatusOr<base::UniqueFd> LockFolder(const std::string& folder, base::FileSystem& files) {
  RETURN_IF_ERROR(Typed(files.CreateDirectories(folder, kFolderMode)));
  const std::string path = absl::StrCat(folder, "/", kLockName);
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return MakeError(ErrorCode::kBackupFailed,
                     absl::StrCat("opening ", path, ": ", strerror(errno)));
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return base::UniqueFd();
  // Shares of other systems may know no locks.
  return MakeError(ErrorCode::kBackupFailed, absl::StrCat("locking ", path, ": ", strerror(errno)));
}

// Gives the archive its name, for good. One of the same second is older, and as good as replaced.
absl::Status Publish(const std::string& from, const std::string& to, const std::string& folder) {
  const base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid() && std::rename(from.c_str(), to.c_str()) == 0 && ::fsync(fd.get()) == 0) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kBackupFailed,
                   absl::StrCat("renaming ", from, " to ", to, ": ", strerror(errno)));
}

// Every file that goes into an archive, with its sum.
class Collector {
 public:
  Collector(ArchiveWriter& archive, base::FileSystem& files) : archive_(archive), files_(files) {}

  absl::Status Text(const std::string& name, absl::string_view content, absl::Time time) {
    ASSIGN_OR_RETURN(sums_[name], archive_.AddText(name, content, time));
    return absl::OkStatus();
  }

  absl::Status File(const std::string& name, const std::string& path) {
    const bool lines = absl::EndsWith(name, ".csv");
    ASSIGN_OR_RETURN(sums_[name], archive_.AddFile(name, path, lines));
    return absl::OkStatus();
  }

  // Those files of `folder` that belong into a backup as `name`/…; how many.
  absl::StatusOr<int> Folder(const std::string& name, const std::string& folder) {
    const auto found = files_.ListDirectory(folder);
    if (!found.ok()) return Typed(found.status());
    int count = 0;
    for (const std::string& file : *found) {
      const std::string entry = absl::StrCat(name, "/", file);
      if (!IsBackupName(entry)) continue;
      const absl::Status status = File(entry, absl::StrCat(folder, "/", file));
      // Records are the developers' to move away at any moment.
      if (absl::IsNotFound(status)) continue;
      RETURN_IF_ERROR(status);
      ++count;
    }
    return count;
  }

  const Sums& sums() const { return sums_; }

 private:
  ArchiveWriter& archive_;
  base::FileSystem& files_;
  Sums sums_;
};

absl::Status CheckArchive(const std::string& path, const BackupFacts& facts) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::Open(path));
  ASSIGN_OR_RETURN(const BackupFacts found, ReadBackup(*archive, {}, {}));
  if (found.ledger == facts.ledger) return absl::OkStatus();
  return MakeError(ErrorCode::kBackupFailed, "the archive does not say what was written to it");
}

// Writes the archive at `path` around the ledger's copy; fills the counts of `outcome`.
absl::Status WriteArchive(const std::string& path, const std::string& ledger_copy,
                          const BackupOptions& options, base::FileSystem& files,
                          BackupOutcome& outcome) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveWriter> archive, ArchiveWriter::Create(path));
  Collector collect(*archive, files);
  const absl::Time time = outcome.facts.create_time;
  RETURN_IF_ERROR(collect.Text(kFactsName, EncodeFacts(outcome.facts), time));
  RETURN_IF_ERROR(collect.File(kLedgerName, ledger_copy));
  // Manifests first: a bundle's images are there before its manifest is, so each one that is seen
  // here finds its images below.
  ASSIGN_OR_RETURN(
      outcome.bundles,
      collect.Folder(kBundlesFolder, absl::StrCat(options.state_directory, "/", kBundlesFolder)));
  RETURN_IF_ERROR(
      collect.Folder(kImagesFolder, absl::StrCat(options.state_directory, "/", kImagesFolder))
          .status());
  ASSIGN_OR_RETURN(outcome.records, collect.Folder(kRecordsFolder, options.export_directory));
  // The first failure makes this one. Any other folder that is not there is one that cannot be seen
  // from here (a share, a home that the service is kept from), and not an empty one.
  const std::string failures = absl::StrCat(options.export_directory, "/failed");
  if (files.Exists(failures)) {
    ASSIGN_OR_RETURN(const int failed, collect.Folder(kFailedRecordsFolder, failures));
    outcome.records += failed;
  }
  RETURN_IF_ERROR(archive->AddText(kSumsName, EncodeSums(collect.sums()), time).status());
  return archive->Finish();
}

// With the folder locked.
absl::StatusOr<BackupOutcome> Create(const BackupOptions& options, base::FileSystem& files,
                                     base::Clock& clock) {
  const std::string& folder = options.backup_directory;
  auto names = files.ListDirectory(folder);
  if (!names.ok()) return Typed(names.status());
  for (const std::string& name : *names) {
    if (absl::StartsWith(name, kUnfinished)) {
      RETURN_IF_ERROR(Typed(files.RemoveAll(absl::StrCat(folder, "/", name))));
    }
  }

  BackupOutcome outcome;
  outcome.facts.station_id = options.station_id;
  outcome.facts.kiln_version = options.kiln_version;
  outcome.facts.create_time = clock.Now();
  const std::string name = BackupName(options.station_id, outcome.facts.create_time);
  const std::string ledger_copy = absl::StrCat(folder, "/", kUnfinished, kLedgerName);
  const std::string unfinished = absl::StrCat(folder, "/", kUnfinished, name);
  const auto clean_up = absl::MakeCleanup([&] {
    files.RemoveAll(ledger_copy).IgnoreError();
    files.RemoveAll(unfinished).IgnoreError();
  });
  auto copied =
      storage::CopyLedger(absl::StrCat(options.state_directory, "/", kLedgerName), ledger_copy);
  if (!copied.ok()) return Typed(copied.status());
  outcome.facts.ledger = *std::move(copied);
  RETURN_IF_ERROR(WriteArchive(unfinished, ledger_copy, options, files, outcome));
  RETURN_IF_ERROR(CheckArchive(unfinished, outcome.facts)) << "reading the backup back";

  outcome.path = absl::StrCat(folder, "/", name);
  struct stat info = {};
  if (::stat(unfinished.c_str(), &info) == 0) outcome.bytes = static_cast<uint64_t>(info.st_size);
  RETURN_IF_ERROR(Publish(unfinished, outcome.path, folder));
  names = files.ListDirectory(folder);
  if (!names.ok()) return Typed(names.status());
  const std::vector<std::string> all = BackupsOf(options.station_id, *names);
  for (size_t i = static_cast<size_t>(options.keep); i < all.size(); ++i) {
    // One that was made just now stays, whatever the clock said before.
    if (all[i] == name) continue;
    RETURN_IF_ERROR(Typed(files.RemoveAll(absl::StrCat(folder, "/", all[i]))));
    outcome.removed.push_back(all[i]);
  }
  return outcome;
}

}  // namespace

absl::StatusOr<BackupOutcome> CreateBackup(const BackupOptions& options, base::FileSystem& files,
                                           base::Clock& clock) {
  const absl::StatusOr<base::UniqueFd> lock = LockFolder(options.backup_directory, files);
  if (lock.ok() && !lock->valid()) {
    // The one that is being made leaves word of itself; this says nothing about how it goes.
    return MakeError(ErrorCode::kBackupFailed, "another backup is being made right now");
  }
  absl::StatusOr<BackupOutcome> outcome =
      lock.ok() ? Create(options, files, clock) : absl::StatusOr<BackupOutcome>(lock.status());
  BackupStatus status = ReadBackupStatus(files, options.state_directory).value_or(BackupStatus());
  status.attempt_time = clock.Now();
  status.ok = outcome.ok();
  if (outcome.ok()) {
    status.problem.clear();
    status.success_time = outcome->facts.create_time;
    status.file = outcome->path;
    status.bytes = outcome->bytes;
  } else {
    status.problem = std::string(outcome.status().message());
  }
  const absl::Status written = WriteBackupStatus(files, options.state_directory, status);
  // A backup that monitoring does not hear of is one that nobody can rely on.
  if (outcome.ok() && !written.ok()) return Typed(written);
  return outcome;
}

}  // namespace kiln::backup
