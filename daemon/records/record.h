#ifndef KILN_DAEMON_RECORDS_RECORD_H_
#define KILN_DAEMON_RECORDS_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/file_system.h"

namespace kiln::records {

// A record is a few KiB. A larger file of that name is somebody else's.
inline constexpr size_t kMaxRecordBytes = size_t{256} * 1024;

enum class Outcome { kSucceeded, kFailed, kCanceled };

// "success", "failed", "canceled".
absl::string_view NameOf(Outcome outcome);

struct StepDuration {
  std::string step;  // "flash"
  absl::Duration elapsed;
};

// Everything a record tells, as the ledger has it. Texts that are not known stay empty, times
// InfinitePast, numbers 0; they are then left out.
struct RecordData {
  std::string deployment_id;  // required
  int attempt = 1;
  std::string request_id;

  std::string organization;
  std::string customer_id;  // required, ^[A-Z0-9]{3,10}$
  std::string application_name;
  std::string expiry_date;

  std::string wifi_ssid;
  std::string wifi_password;

  std::string mac;  // "7c:df:a1:00:00:01"; required for a success
  std::string ip_address = "192.168.4.1";
  std::string chip;
  uint32_t flash_size_bytes = 0;

  std::string bundle_id;
  std::string bundle_title;
  std::string bundle_version;

  std::string station_id;
  std::string port;
  std::string deployed_by;
  std::string environment = "production";

  Outcome outcome = Outcome::kSucceeded;
  std::string failure_code;  // the catalogue's name
  std::string failure_detail;

  absl::Time create_time = absl::InfinitePast();
  absl::Time start_time = absl::InfinitePast();
  // When the board was finished or given up; required. It names the file's day, so it comes from
  // the ledger: the same value again when the record is written again after a crash.
  absl::Time deployed_at = absl::InfinitePast();
  std::vector<StepDuration> steps;

  uint64_t image_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t sent_bytes = 0;

  int64_t created_sequence = 0;  // of the event that accepted the deployment
  int64_t sequence = 0;          // of the newest event the record is drawn from
};

// The record as JSON text (UTF-8, indented, a newline at the end): the fields of the source
// documents' export file and, under "kiln", what else the station knows. Times are local with their
// offset, Gregorian. The WiFi password is there for a success only: what failed is not handed out.
// `tool_version` is "kiln 0.1.0".
std::string RecordToJson(const RecordData& data, const absl::TimeZone& zone,
                         absl::string_view tool_version);

// The header of the daily CSV with its line end.
absl::string_view CsvHeader();
// One line of the daily CSV (RFC 4180, CR LF). A text that a spreadsheet would take for a formula
// gets an apostrophe in front.
std::string RecordToCsvLine(const RecordData& data, const absl::TimeZone& zone);
// The notes in that line up to the attempt's number, which no other deployment's line has.
std::string CsvNotesOf(const std::string& deployment_id);

struct RecordOptions {
  std::string export_directory;  // absolute
  absl::TimeZone time_zone;      // of names and times
  std::string tool_version = "kiln";
  // Records hold WiFi passwords: the station's user writes, a group that the site chooses for its
  // operators reads (the folder's group, with its set-group-id bit), nobody else. A site that
  // exports to one person's desktop through a volume sets 0644.
  uint32_t file_mode = 0640;
  uint32_t folder_mode = 0750;  // for folders that are not there yet
  // Starts each daily CSV with a byte order mark, which Excel needs to show Thai when a person
  // double-clicks the file. Off, because scripts then read a wrong first column name.
  bool csv_byte_order_mark = false;
};

// Writes the records of finished deployments into the export folder:
//   customer-{customer_id}-{YYYY-MM-DD}-{mac without colons}.json   successes
//   esp32-deployments-{YYYY-MM-DD}.csv                              one line for each of them
//   failed/customer-….json                                          all others
// Each file appears whole and on disk, or not at all, and never in place of another one: a name
// that is taken gets -2, -3 and so on. Owned by main, used by the workers of all ports.
// Thread-safe.
class RecordWriter {
 public:
  RecordWriter(base::FileSystem& files, RecordOptions options);

  // Returns the path of the JSON record. Written again for the same deployment and attempt, or
  // for a success of another attempt, it finds the file and the line it made before and makes no
  // second one, so a caller that crashed or got an error simply calls again. Errors: DiskFull;
  // RecordWriteFailed, which says so when the folder cannot be written; INTERNAL for data without
  // what is required above.
  absl::StatusOr<std::string> WriteRecord(const RecordData& data) ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether a record could be written now, for health checks: the same errors, nothing left behind.
  absl::Status CheckWritable() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Status EnsureFolder(const std::string& folder) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::string> WriteJson(const RecordData& data, const std::string& folder,
                                        const std::string& day)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AppendCsvLine(const RecordData& data, const std::string& day)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Held while files are looked at and written, so that two workers never take the same name.
  absl::Mutex mutex_;
  base::FileSystem& files_;
  const RecordOptions options_;
};

}  // namespace kiln::records

#endif  // KILN_DAEMON_RECORDS_RECORD_H_
