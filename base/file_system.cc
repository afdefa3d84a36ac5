#include "base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace kiln::base {
namespace {

absl::StatusCode CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status ErrnoStatus(int error, absl::string_view what, const std::string& path) {
  return absl::Status(CodeOfErrno(error),
                      absl::StrCat(what, " ", path, ": ", std::strerror(error)));
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

absl::Status WriteAll(int fd, absl::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "cannot write", path);
    }
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open folder", path);
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "cannot sync folder", path);
  return absl::OkStatus();
}

// Unique among the threads and processes that write into one folder.
std::string TemporaryName(const std::string& folder) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(folder, "/.kiln-", ::getpid(), "-", counter.fetch_add(1), ".tmp");
}

// Gives what was just made exactly the permissions `mode`, whatever the umask was. A set-group-ID
// bit that a folder inherited stays. FAT and SMB mounts refuse with EPERM: there the mount decides.
absl::Status SetMode(int fd, uint32_t mode, const std::string& path) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "cannot stat", path);
  const mode_t wanted = static_cast<mode_t>(mode) | (info.st_mode & S_ISGID);
  if ((info.st_mode & 07777) == wanted || ::fchmod(fd, wanted) == 0) return absl::OkStatus();
  if (errno == EPERM || errno == EOPNOTSUPP) return absl::OkStatus();
  return ErrnoStatus(errno, "cannot set the permissions of", path);
}

class RealFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) override {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return ErrnoStatus(errno, "cannot open", path);
    std::string content;
    char buffer[64 * 1024];
    for (;;) {
      const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
      if (got < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, "cannot read", path);
      }
      if (got == 0) return content;
      if (content.size() + static_cast<size_t>(got) > max_bytes) {
        return absl::ResourceExhaustedError(
            absl::StrCat(path, " has more than the allowed ", max_bytes, " bytes"));
      }
      content.append(buffer, static_cast<size_t>(got));
    }
  }

  absl::Status WriteFileAtomically(const std::string& path, absl::string_view content,
                                   IfExists if_exists, uint32_t mode) override {
    const std::string folder = ParentOf(path);
    const std::string temporary = TemporaryName(folder);
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd.valid()) return ErrnoStatus(errno, "cannot create a file in", folder);
    auto remove_temporary = absl::MakeCleanup([&temporary] { ::unlink(temporary.c_str()); });
    RETURN_IF_ERROR(SetMode(fd.get(), mode, path));
    RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
    if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "cannot sync", path);
    if (if_exists == IfExists::kReplace) {
      if (::rename(temporary.c_str(), path.c_str()) != 0) {
        return ErrnoStatus(errno, "cannot rename to", path);
      }
      std::move(remove_temporary).Cancel();
    } else if (::link(temporary.c_str(), path.c_str()) != 0) {
      return ErrnoStatus(errno, "cannot create", path);
    }
    return SyncDirectory(folder);
  }

  absl::Status AppendDurably(const std::string& path, absl::string_view header,
                             absl::string_view line, uint32_t mode) override {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    UniqueFd fd(::open(path.c_str(), kFlags | O_EXCL, mode));
    if (fd.valid()) {
      RETURN_IF_ERROR(SetMode(fd.get(), mode, path));
    } else if (errno == EEXIST) {
      fd = UniqueFd(::open(path.c_str(), kFlags, mode));
    }
    if (!fd.valid()) return ErrnoStatus(errno, "cannot open for appending", path);
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "cannot stat", path);
    const std::string content = absl::StrCat(info.st_size == 0 ? header : "", line);
    if (absl::Status status = WriteAll(fd.get(), content, path); !status.ok()) {
      // A half line would corrupt the next one; the file goes back to what it
      // was.
      if (::ftruncate(fd.get(), info.st_size) != 0) {
        return ErrnoStatus(errno, "cannot undo a partial append to", path);
      }
      return status;
    }
    if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "cannot sync", path);
    return info.st_size == 0 ? SyncDirectory(ParentOf(path)) : absl::OkStatus();
  }

  absl::Status CreateDirectories(const std::string& path, uint32_t mode) override {
    if (path.empty() || path == "/") return absl::OkStatus();
    if (::mkdir(path.c_str(), mode) == 0) return SyncDirectory(ParentOf(path));
    if (errno == EEXIST) {
      struct stat info;
      if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
      return ErrnoStatus(EEXIST, "cannot make folder", path);
    }
    if (errno != ENOENT) return ErrnoStatus(errno, "cannot make folder", path);
    RETURN_IF_ERROR(CreateDirectories(ParentOf(path), mode));
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, "cannot make folder", path);
    }
    return SyncDirectory(ParentOf(path));
  }

  absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) override {
    std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), &::closedir);
    if (dir == nullptr) return ErrnoStatus(errno, "cannot list", path);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(dir.get())) {  // NOLINT(concurrency-mt-unsafe): own DIR.
      const absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  bool Exists(const std::string& path) override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0;
  }

  absl::Status RenameNoReplace(const std::string& from, const std::string& to) override {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
      return ErrnoStatus(errno, absl::StrCat("cannot rename ", from, " to"), to);
    }
    return SyncDirectory(ParentOf(to));
  }

  absl::Status RemoveAll(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return ErrnoStatus(error.value(), "cannot remove", path);
    return absl::OkStatus();
  }

  absl::Status CheckWritable(const std::string& path) override {
    const std::string temporary = TemporaryName(path);
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) return ErrnoStatus(errno, "cannot create a file in", path);
    auto remove_temporary = absl::MakeCleanup([&temporary] { ::unlink(temporary.c_str()); });
    return WriteAll(fd.get(), "kiln", temporary);
  }

  absl::StatusOr<uint64_t> FreeBytes(const std::string& path) override {
    struct statvfs info;
    if (::statvfs(path.c_str(), &info) != 0)
      return ErrnoStatus(errno, "cannot read free space of", path);
    return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  }
};

}  // namespace

FileSystem& SystemFileSystem() {
  static RealFileSystem* const file_system = new RealFileSystem();
  return *file_system;
}

}  // namespace kiln::base
