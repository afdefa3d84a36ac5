#ifndef KILN_DAEMON_BACKUP_BACKUP_FOLDER_H_
#define KILN_DAEMON_BACKUP_BACKUP_FOLDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/file_system.h"

// The folder that backups go to: their names, and which of them are this station's. And how the
// last one went: written by `kiln backup`, read by the station, which tells monitoring.
namespace kiln::backup {

// "kiln-bench-1-20261126T020000Z.tar.gz"; the time in UTC.
std::string BackupName(absl::string_view station_id, absl::Time time);

// The names of this station's backups, newest first. Files of other names are none.
std::vector<std::string> BackupsOf(absl::string_view station_id,
                                   const std::vector<std::string>& names);

// How the last backup went.
struct BackupStatus {
  absl::Time attempt_time = absl::InfinitePast();  // InfinitePast: never
  bool ok = false;                                 // of that attempt
  std::string problem;                             // why not
  absl::Time success_time = absl::InfinitePast();  // of the last one that went well
  std::string file;                                // its path
  uint64_t bytes = 0;                              // its size
};

// In last-backup.json of the state folder, which the station can always read: the archives may go
// to a share or a mount that it does not see, or that hangs. The default status when there is none;
// INTERNAL when it cannot be read.
absl::StatusOr<BackupStatus> ReadBackupStatus(base::FileSystem& files,
                                              const std::string& state_directory);
absl::Status WriteBackupStatus(base::FileSystem& files, const std::string& state_directory,
                               const BackupStatus& status);

}  // namespace kiln::backup

#endif  // KILN_DAEMON_BACKUP_BACKUP_FOLDER_H_
