#ifndef KILN_DAEMON_PORTS_HOST_LOOKUP_H_
#define KILN_DAEMON_PORTS_HOST_LOOKUP_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace kiln::ports {

// Where a TCP connection may be tried.
struct TcpEndpoint {
  sockaddr_storage address = {};
  socklen_t size = 0;
};

// The endpoints of `host`, best first, within `timeout`. The system's resolver
// cannot be interrupted: when it is slower, it is left to finish on a thread of
// its own and its answer is dropped. BoardNotFound for an unknown name,
// DEADLINE_EXCEEDED.
absl::StatusOr<std::vector<TcpEndpoint>> LookUpHost(const std::string& host, uint16_t port,
                                                    absl::Duration timeout);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_HOST_LOOKUP_H_
