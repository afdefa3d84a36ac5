#ifndef KILN_DAEMON_BACKUP_CONTENTS_H_
#define KILN_DAEMON_BACKUP_CONTENTS_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/backup/archive.h"
#include "storage/ledger_backup.h"

// What a backup consists of. In this order:
//   kiln-backup.json              what it is of (BackupFacts)
//   ledger.db                     the ledger, as of one moment
//   firmware/images/<sha256>      the bundles
//   firmware/bundles/<id>.json
//   records/customer-….json, records/esp32-deployments-….csv, records/failed/customer-….json
//   SHA256SUMS                    of all of these, as `sha256sum -c` reads it
namespace kiln::backup {

inline constexpr char kFactsName[] = "kiln-backup.json";
inline constexpr char kLedgerName[] = "ledger.db";
inline constexpr char kSumsName[] = "SHA256SUMS";
inline constexpr char kImagesFolder[] = "firmware/images";
inline constexpr char kBundlesFolder[] = "firmware/bundles";
inline constexpr char kRecordsFolder[] = "records";
inline constexpr char kFailedRecordsFolder[] = "records/failed";

struct BackupFacts {
  std::string station_id;
  std::string kiln_version;
  absl::Time create_time;
  storage::LedgerFacts ledger;
};

std::string EncodeFacts(const BackupFacts& facts);
// BackupDamaged; RestoreRefused for a form of backup that this Kiln does not know.
absl::StatusOr<BackupFacts> DecodeFacts(absl::string_view text);

// SHA-256 in hexadecimal by name.
using Sums = std::map<std::string, std::string>;
std::string EncodeSums(const Sums& sums);
absl::StatusOr<Sums> DecodeSums(absl::string_view text);

// Whether a file of this name belongs into a backup. Any other name in an archive makes it a
// damaged one, so that unpacking can touch nothing else.
bool IsBackupName(absl::string_view name);
// Whether the export folder's file `name` (or "failed/…") is a record or a daily CSV of Kiln's.
// What people keep beside them is theirs.
bool IsRecordName(absl::string_view name);

// Takes the content of one file piece by piece; the last call is empty.
using ContentSink = std::function<absl::Status(absl::string_view bytes)>;

// Reads a whole archive and checks it against its own sums; what is read goes to the sink that
// `open` answers for each file, if any. `on_facts` hears what the backup is of, before anything
// else, and can refuse it. BackupDamaged, or the error of a sink.
absl::StatusOr<BackupFacts> ReadBackup(
    ArchiveReader& archive, const std::function<absl::Status(const BackupFacts&)>& on_facts,
    const std::function<absl::StatusOr<ContentSink>(const std::string& name)>& open);

}  // namespace kiln::backup

#endif  // KILN_DAEMON_BACKUP_CONTENTS_H_
