#ifndef KILN_DAEMON_PORTS_SOCKET_STREAM_H_
#define KILN_DAEMON_PORTS_SOCKET_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/fd_stream.h"

namespace kiln::ports {

// Raw TCP, "socket://host:port", as emulators and serial servers offer: bytes
// only. Setting a rate changes nothing and succeeds; there are no modem lines.
// Threads as ByteStream says.
class SocketStream final : public FdStream {
 public:
  // For finding the address and connecting together.
  static constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

  // BoardNotFound when nobody listens or the name is unknown, PortFailed
  // otherwise.
  static absl::StatusOr<std::unique_ptr<SocketStream>> Connect(
      const std::string& host, uint16_t port, absl::Duration timeout = kConnectTimeout);

  LinkTraits traits() const override { return {.kind = LinkKind::kSocket}; }
  // Waits until the other side's system has acknowledged all bytes.
  absl::Status Drain(absl::Duration timeout) override;
  absl::Status DiscardInput() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  absl::Status SetLines(bool dtr, bool rts) override;

 private:
  using FdStream::FdStream;
};

// Connects to one address. Thread-safe.
class SocketOpener final : public StreamOpener {
 public:
  // `host` is a name or an IP address, without brackets.
  SocketOpener(std::string host, uint16_t port);

  absl::StatusOr<std::unique_ptr<ByteStream>> Open() override;
  std::string address() const override;
  bool Present() override { return true; }

 private:
  const std::string host_;
  const uint16_t port_;
};

// "socket://host:port", with brackets around an IPv6 address.
std::string SocketAddress(const std::string& host, uint16_t port);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_SOCKET_STREAM_H_
