#ifndef KILN_DAEMON_PORTS_TCP_CONNECT_H_
#define KILN_DAEMON_PORTS_TCP_CONNECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/host_lookup.h"

namespace kiln::ports {

struct TcpConnection {
  base::UniqueFd fd;                   // non-blocking, set up by PrepareTcp
  std::vector<TcpEndpoint> endpoints;  // all that the host's name led to
};

// Connects to `host`; finding the address and connecting together take at most
// `timeout`. `address` is for error texts. BoardNotFound when nobody listens or
// the name is unknown, PortPermission, PortFailed.
absl::StatusOr<TcpConnection> ConnectTcp(const std::string& host, uint16_t port,
                                         const std::string& address, absl::Duration timeout);

// Begins to connect a new non-blocking socket `fd`. The error number: 0 when it
// is connected, EINPROGRESS when poll will tell with POLLOUT.
int StartTcp(const TcpEndpoint& endpoint, base::UniqueFd& fd);
// Once poll has told: the error number, 0 when it is connected.
int FinishTcp(int fd);
// For request and answer without delay, and so that a far end which vanished
// without a word is noticed within about ten seconds. The error number, or 0.
int PrepareTcp(int fd);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_TCP_CONNECT_H_
