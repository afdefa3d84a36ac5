#ifndef KILN_DAEMON_BACKUP_RESTORE_H_
#define KILN_DAEMON_BACKUP_RESTORE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/unique_fd.h"
#include "daemon/backup/contents.h"

// A restore never shows half a station. The backup is unpacked and checked in a folder of its own
// beside the state:
//   restore.partial        being unpacked, or never decided on: worth nothing
//   restore.decided        whole, checked and wanted: one rename made it so
//   before-restore-<time>  the ledger and bundles as they were; Kiln never removes them
// From that rename on, whoever comes next, `kiln restore` or the station at its start, completes it
// (CompleteRestore) before anything looks at the ledger; each of its moves is one rename and knows
// by what is there whether it was made already. Before the rename nothing has changed.
namespace kiln::backup {

struct RestoreOptions {
  std::string state_directory;
  std::string export_directory;
  // Called between the moves of a restore with a name, for crash tests; may be empty.
  std::function<void(const std::string& point)> failpoint;
};

struct RestoreOutcome {
  std::string old_state;  // the folder of what was there before
  int records_written = 0;
  int records_kept = 0;  // were there already, and stay as they are
};

// One restore, until it is decided on. Holds the ledger's lock, so that no station can start.
// Removes what it unpacked unless it was decided on. One thread.
class Restore {
 public:
  // Unpacks and checks the archive completely: its sums, every link of the ledger's event chain.
  // RestoreRefused while a station runs and for a newer schema; BackupDamaged; DiskFull. Changes
  // nothing of the station.
  static absl::StatusOr<std::unique_ptr<Restore>> Prepare(const std::string& archive,
                                                          const RestoreOptions& options,
                                                          base::FileSystem& files);
  ~Restore();
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

  // What the backup is of.
  const BackupFacts& facts() const { return facts_; }
  // What it would take the place of; an error when there is no ledger, or none that can be read.
  const absl::StatusOr<storage::LedgerFacts>& present() const { return present_; }

  // Decides, and completes. `now` names the folder of the old state.
  absl::StatusOr<RestoreOutcome> Commit(absl::Time now);

 private:
  Restore(RestoreOptions options, base::FileSystem& files, base::UniqueFd lock);
  absl::Status Unpack(const std::string& archive);

  const RestoreOptions options_;
  base::FileSystem& files_;
  const base::UniqueFd lock_;
  BackupFacts facts_;
  absl::StatusOr<storage::LedgerFacts> present_;
  bool decided_ = false;
};

// Completes a restore that was decided on and interrupted, or removes what was unpacked for one
// that was not. Nothing to complete: no outcome. To be called by the station before it opens its
// ledger. When only records are left to be copied, for example because their folder cannot be
// written, `records_missing` says why and the next call tries again.
struct CompletedRestore {
  RestoreOutcome outcome;
  absl::Status records_missing;
};
absl::StatusOr<std::optional<CompletedRestore>> CompleteRestore(const RestoreOptions& options,
                                                                base::FileSystem& files);

// Whether the ledger in `state_directory` is a restored one whose open deployments nobody has
// looked at yet: they may have gone on after the backup was made. ForgetRestored once they were.
bool WasRestored(const std::string& state_directory, base::FileSystem& files);
absl::Status ForgetRestored(const std::string& state_directory, base::FileSystem& files);

}  // namespace kiln::backup

#endif  // KILN_DAEMON_BACKUP_RESTORE_H_
