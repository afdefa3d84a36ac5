#ifndef KILN_DAEMON_API_LISTEN_SOCKET_H_
#define KILN_DAEMON_API_LISTEN_SOCKET_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kiln::api {

// Makes `path` free for a unix socket: creates its folder (mode 0750), and removes a socket that
// nobody listens on. UNAVAILABLE when somebody does, FAILED_PRECONDITION when something else than a
// socket is there; it is left alone then.
absl::Status PrepareSocketPath(const std::string& path);

// Gives the bound socket at `path` its permissions, and its group unless `group` is empty.
// NOT_FOUND for an unknown group.
absl::Status SetSocketAccess(const std::string& path, uint32_t mode, const std::string& group);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_LISTEN_SOCKET_H_
