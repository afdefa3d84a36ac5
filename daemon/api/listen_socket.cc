#include "daemon/api/listen_socket.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace kiln::api {
namespace {

absl::Status SystemError(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path));
}

// Whether a server answers at `path`.
absl::StatusOr<bool> SomebodyListens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("the socket's path is too long: ", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SystemError("socket for", path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return true;
  }
  if (errno == ECONNREFUSED) return false;
  if (errno == EAGAIN) return true;  // its queue of connections is full: alive
  return SystemError("connecting to", path);
}

}  // namespace

absl::Status PrepareSocketPath(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    RETURN_IF_ERROR(base::SystemFileSystem().CreateDirectories(path.substr(0, slash), 0750))
        << "making the socket's folder";
  }
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? absl::OkStatus() : SystemError("looking at", path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " exists and is no socket; remove it or configure another path"));
  }
  ASSIGN_OR_RETURN(const bool alive, SomebodyListens(path));
  if (alive) {
    return absl::UnavailableError(
        absl::StrCat("another kilnd listens on ", path, "; stop it first"));
  }
  if (::unlink(path.c_str()) != 0) return SystemError("removing the stale socket", path);
  return absl::OkStatus();
}

absl::Status SetSocketAccess(const std::string& path, uint32_t mode, const std::string& group) {
  if (!group.empty()) {
    struct group entry{};
    struct group* found = nullptr;
    std::vector<char> buffer(16384);
    const int error = ::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) {
      return error == 0 ? absl::NotFoundError(absl::StrCat("there is no group \"", group, "\""))
                        : absl::ErrnoToStatus(error, absl::StrCat("looking up group ", group));
    }
    if (::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0) {
      return SystemError(absl::StrCat("giving group ", group, " the socket"), path);
    }
  }
  if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) {
    return SystemError("setting the permissions of", path);
  }
  return absl::OkStatus();
}

}  // namespace kiln::api
