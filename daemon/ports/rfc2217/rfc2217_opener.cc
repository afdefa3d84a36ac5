#include "daemon/ports/rfc2217/rfc2217_opener.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/remote_presence.h"
#include "daemon/ports/rfc2217/rfc2217_stream.h"
#include "daemon/ports/socket_stream.h"
#include "daemon/ports/tcp_connect.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

// For finding the address and connecting together.
constexpr absl::Duration kConnectTimeout = absl::Seconds(5);

// The stream, with word to the opener when it breaks.
class WatchedStream final : public ByteStream {
 public:
  WatchedStream(std::unique_ptr<Rfc2217Stream> stream, std::shared_ptr<RemotePresence> presence)
      : stream_(std::move(stream)), presence_(std::move(presence)) {}
  ~WatchedStream() override {
    if (stream_->gone()) presence_->Lost();
  }

  LinkTraits traits() const override { return stream_->traits(); }
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override {
    return stream_->Read(buffer, timeout);
  }
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) override {
    return stream_->Write(bytes, timeout);
  }
  absl::Status Drain(absl::Duration timeout) override { return stream_->Drain(timeout); }
  absl::Status DiscardInput() override { return stream_->DiscardInput(); }
  absl::Status SetBaudRate(uint32_t baud) override { return stream_->SetBaudRate(baud); }
  absl::Status SetLines(bool dtr, bool rts) override { return stream_->SetLines(dtr, rts); }
  void Interrupt() override { stream_->Interrupt(); }

 private:
  const std::unique_ptr<Rfc2217Stream> stream_;
  const std::shared_ptr<RemotePresence> presence_;
};

}  // namespace

Rfc2217Opener::Rfc2217Opener(std::string host, uint16_t port, base::Clock& clock)
    : host_(std::move(host)), port_(port), presence_(std::make_shared<RemotePresence>(clock)) {}

absl::StatusOr<std::unique_ptr<ByteStream>> Rfc2217Opener::Open() {
  base::UniqueFd kept = presence_->TakeConnection();
  if (kept.valid()) {
    auto stream = Rfc2217Stream::Negotiate(std::move(kept), address());
    if (stream.ok()) return std::make_unique<WatchedStream>(*std::move(stream), presence_);
    // It may have ended since; a new one tells.
  }
  absl::StatusOr<TcpConnection> connection = ConnectTcp(host_, port_, address(), kConnectTimeout);
  if (errors::Is(connection.status(), errors::ErrorCode::kBoardNotFound)) presence_->Lost();
  RETURN_IF_ERROR(connection.status());
  presence_->Found(std::move(connection->endpoints));
  ASSIGN_OR_RETURN(std::unique_ptr<Rfc2217Stream> stream,
                   Rfc2217Stream::Negotiate(std::move(connection->fd), address()));
  return std::make_unique<WatchedStream>(std::move(stream), presence_);
}

std::string Rfc2217Opener::address() const {
  const std::string socket = SocketAddress(host_, port_);
  return absl::StrCat("rfc2217", absl::StripPrefix(socket, "socket"));
}

}  // namespace kiln::ports
