#ifndef KILN_BASE_FAKE_FILE_SYSTEM_H_
#define KILN_BASE_FAKE_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/file_system.h"

namespace kiln::base {

// A disk in memory that can be made to fail. Folders exist once created; every
// path is absolute.
class FakeFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) override;
  absl::Status WriteFileAtomically(const std::string& path, absl::string_view content,
                                   IfExists if_exists, uint32_t mode) override;
  absl::Status AppendDurably(const std::string& path, absl::string_view header,
                             absl::string_view line, uint32_t mode) override;
  absl::Status CreateDirectories(const std::string& path, uint32_t mode) override;
  absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) override;
  bool Exists(const std::string& path) override;
  absl::Status RenameNoReplace(const std::string& from, const std::string& to) override;
  absl::Status RemoveAll(const std::string& path) override;
  absl::Status CheckWritable(const std::string& path) override;
  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override;

  // Every write after the next `successes` ones fails with `error` until called
  // again with OK.
  void FailWritesAfter(int successes, absl::Status error);
  void SetFreeBytes(uint64_t bytes);

 private:
  absl::Status CountWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckParent(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  // Path to content; folders end with '/'.
  std::map<std::string, std::string> files_ ABSL_GUARDED_BY(mutex_) = {{"/", ""}};
  int successes_left_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status write_error_ ABSL_GUARDED_BY(mutex_);
  uint64_t free_bytes_ ABSL_GUARDED_BY(mutex_) = uint64_t{100} << 30;
};

}  // namespace kiln::base

#endif  // KILN_BASE_FAKE_FILE_SYSTEM_H_
