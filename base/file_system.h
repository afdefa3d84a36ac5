#ifndef KILN_BASE_FILE_SYSTEM_H_
#define KILN_BASE_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kiln::base {

// The disk as Kiln uses it: whole small files, written so that a crash leaves
// either the old state or the new one. Thread-safe. Errors carry the path and
// the system's words: NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED (also for a
// read-only file system), RESOURCE_EXHAUSTED (no space, quota, or over a limit
// given here), otherwise INTERNAL.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // The whole file; RESOURCE_EXHAUSTED when it has more than `max_bytes`.
  virtual absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) = 0;

  enum class IfExists { kFail, kReplace };
  // Temporary file in the same folder, write, fsync, rename (kFail: link
  // without replacing), fsync of the folder. `mode` are the permission bits of
  // the new file.
  virtual absl::Status WriteFileAtomically(const std::string& path, absl::string_view content,
                                           IfExists if_exists, uint32_t mode) = 0;

  // Appends `line` in one write and fsyncs; a missing or empty file first gets
  // `header`.
  virtual absl::Status AppendDurably(const std::string& path, absl::string_view header,
                                     absl::string_view line, uint32_t mode) = 0;

  // Makes the folder and its parents; existing ones are fine.
  virtual absl::Status CreateDirectories(const std::string& path, uint32_t mode) = 0;
  // Names (not paths) in a folder, sorted, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) = 0;
  virtual bool Exists(const std::string& path) = 0;
  // Renames within one file system and fsyncs the target's folder; replaces
  // nothing.
  virtual absl::Status RenameNoReplace(const std::string& from, const std::string& to) = 0;
  // Removes a file, or a folder with everything in it. Missing is OK.
  virtual absl::Status RemoveAll(const std::string& path) = 0;
  // Proves that files can be made in `path` by making and removing one.
  virtual absl::Status CheckWritable(const std::string& path) = 0;
  virtual absl::StatusOr<uint64_t> FreeBytes(const std::string& path) = 0;
};

// The real one; never destroyed.
FileSystem& SystemFileSystem();

}  // namespace kiln::base

#endif  // KILN_BASE_FILE_SYSTEM_H_
