#ifndef KILN_DAEMON_PORTS_RFC2217_TCP_LISTENER_H_
#define KILN_DAEMON_PORTS_RFC2217_TCP_LISTENER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace kiln::ports {

// A TCP port that is listened to at times. Used on one thread.
class TcpListener {
 public:
  // `host` is an IP address, without brackets; `port` 0 takes a free one, once.
  TcpListener(std::string host, uint16_t port);

  // PortBusy, PortPermission, PortFailed. Nothing to do while it listens.
  absl::Status Listen();
  // Connecting is refused from now on.
  void Close() { fd_.Reset(); }
  bool listening() const { return fd_.valid(); }

  // The next client that waits, set up as tcp_connect.h says, and its address
  // for people; invalid when there is none.
  base::UniqueFd Accept(std::string& peer);
  // For poll; -1 while it does not listen, which poll ignores.
  int fd() const { return fd_.get(); }
  uint16_t port() const { return port_; }

 private:
  const std::string host_;
  uint16_t port_;
  base::UniqueFd fd_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_TCP_LISTENER_H_
