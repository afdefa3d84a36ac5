#ifndef KILN_DAEMON_PORTS_RFC2217_RFC2217_OPENER_H_
#define KILN_DAEMON_PORTS_RFC2217_RFC2217_OPENER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/remote_presence.h"

namespace kiln::ports {

// Opens one port of another computer, "rfc2217://host:port", again and again.
// Present until a connection breaks or is refused, then absent until the server
// can be reached again, which is a new plugging-in. Thread-safe.
class Rfc2217Opener final : public StreamOpener {
 public:
  // `host` is a name or an IP address, without brackets.
  Rfc2217Opener(std::string host, uint16_t port, base::Clock& clock = base::SystemClock());

  absl::StatusOr<std::unique_ptr<ByteStream>> Open() override;
  std::string address() const override;
  bool Present() override { return presence_->Look(); }
  std::string Instance() override { return presence_->Instance(); }

 private:
  const std::string host_;
  const uint16_t port_;
  const std::shared_ptr<RemotePresence> presence_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_RFC2217_OPENER_H_
