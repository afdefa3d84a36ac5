#ifndef KILN_DAEMON_BACKUP_BACKUP_H_
#define KILN_DAEMON_BACKUP_BACKUP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "daemon/backup/contents.h"

namespace kiln::backup {

struct BackupOptions {
  std::string station_id;
  std::string kiln_version;
  std::string state_directory;
  std::string export_directory;
  std::string backup_directory;
  int keep = 7;  // the newest ones that stay, this one included; at least 1
};

struct BackupOutcome {
  std::string path;
  uint64_t bytes = 0;
  BackupFacts facts;
  int bundles = 0;
  int records = 0;
  std::vector<std::string> removed;  // names of older backups
};

// Backs up a station, running or not, by a process that may read its folders: the ledger as of one
// moment, then the bundles and records, which only ever become more, so that whatever the ledger
// speaks of is there. The archive is read back and checked before it gets its name; only then older
// ones go. How it went is left in the state folder for the station to tell. A failed backup leaves
// no archive. Errors: BackupFailed (also while another one runs, of which no word is left),
// DiskFull, LedgerDamaged.
absl::StatusOr<BackupOutcome> CreateBackup(const BackupOptions& options, base::FileSystem& files,
                                           base::Clock& clock);

}  // namespace kiln::backup

#endif  // KILN_DAEMON_BACKUP_BACKUP_H_
