#ifndef KILN_DAEMON_BACKUP_ARCHIVE_H_
#define KILN_DAEMON_BACKUP_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kiln::backup {

// Largest file that the number of a plain tar header can say: 11 octal digits.
inline constexpr uint64_t kMaxEntryBytes = (uint64_t{1} << 33) - 1;
// Longest name in the header's first field, its end included (POSIX.1-2017, pax, "ustar Interchange
// Format"). No name that Kiln writes comes near it.
inline constexpr size_t kMaxNameBytes = 100;

// One file in an archive. Folders and links do not exist here.
struct ArchiveEntry {
  std::string name;  // "firmware/images/…", never absolute
  uint64_t size = 0;
  absl::Time time;
};

// Writes a new tar file (POSIX ustar) packed by gzip, which every system can open without Kiln. One
// thread; the owner removes the file when something failed. Errors: DiskFull, BackupFailed.
class ArchiveWriter {
 public:
  // Makes `path` (mode 0600: the ledger holds passwords). It must not exist.
  static absl::StatusOr<std::unique_ptr<ArchiveWriter>> Create(const std::string& path);
  virtual ~ArchiveWriter() = default;

  // Both answer the SHA-256 of the content, in hexadecimal.
  virtual absl::StatusOr<std::string> AddText(const std::string& name, absl::string_view content,
                                              absl::Time time) = 0;
  // The file's bytes as far as it goes now. `whole_lines`: only up to the last line feed, for a
  // file that somebody appends lines to. NOT_FOUND when there is none.
  virtual absl::StatusOr<std::string> AddFile(const std::string& name, const std::string& path,
                                              bool whole_lines) = 0;
  // Ends the archive; OK means it is on disk. Call last.
  virtual absl::Status Finish() = 0;
};

// Reads such an archive, from anywhere: what is not exactly of this form is BackupDamaged. One
// thread.
class ArchiveReader {
 public:
  // BackupFailed when the file cannot be opened.
  static absl::StatusOr<std::unique_ptr<ArchiveReader>> Open(const std::string& path);
  virtual ~ArchiveReader() = default;

  // The next file, or nothing at the end, which is checked, too. What was not read of the file
  // before is skipped.
  virtual absl::StatusOr<std::optional<ArchiveEntry>> Next() = 0;
  // At most `size` bytes of the present file; 0 at its end.
  virtual absl::StatusOr<size_t> Read(char* buffer, size_t size) = 0;
};

}  // namespace kiln::backup

#endif  // KILN_DAEMON_BACKUP_ARCHIVE_H_
