#ifndef KILN_DAEMON_API_SERVER_H_
#define KILN_DAEMON_API_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/api/api_parts.h"

namespace kiln::api {

struct ServerOptions {
  std::string socket_path;
  uint32_t socket_mode = 0660;
  std::string socket_group;  // empty: the process's own
  // TCP with TLS and client certificates; off while empty. PEM contents, not paths.
  std::string tls_address;
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_ca;
  // An import that sends nothing for so long is ended, so that it does not keep others out.
  absl::Duration import_idle_timeout = absl::Seconds(30);
};

// The station's gRPC server: Kiln's services, grpc.health.v1 (under "" and each service's name) and
// reflection, on a unix socket whose permissions are the guard, and on TCP for clients with a
// certificate. Starts SERVING. Made and owned by main.
class Server {
 public:
  // `parts.quick`, `parts.slow` and `parts.builds` are made by the server; everything else must
  // outlive it. UNAVAILABLE when an address is taken, INVALID_ARGUMENT for unusable certificates.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ApiParts& parts,
                                                       const ServerOptions& options);
  // Stops at once if Stop was not called.
  virtual ~Server() = default;

  // The TCP port that is listened on, also when the address leaves the choice to the system
  // ("…:0"); 0 without one.
  virtual int tls_port() const = 0;

  // grpc.health.v1 answers NOT_SERVING from now on; calls still work.
  virtual void SetNotServing() = 0;
  // Ends every stream (by closing the hub), lets calls finish for at most `timeout`, cancels the
  // rest, and removes the socket.
  virtual void Stop(absl::Duration timeout) = 0;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_SERVER_H_
