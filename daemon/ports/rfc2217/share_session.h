#ifndef KILN_DAEMON_PORTS_RFC2217_SHARE_SESSION_H_
#define KILN_DAEMON_PORTS_RFC2217_SHARE_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/com_port_server.h"
#include "daemon/ports/rfc2217/telnet.h"

namespace kiln::ports {

// One client at a shared port, from its connection to its end. The thread that
// calls Run talks to the client; a second one, made by Run, owns the byte
// stream. What the client wants is queued in its order, bytes and settings
// alike; what the board says is queued the other way. Both queues are bounded:
// a slow board makes the client wait, a slow client makes the board's adapter
// wait.
class ShareSession final : private TelnetSink {
 public:
  // `client` is a connected non-blocking socket; `stream` must outlive the
  // session.
  ShareSession(base::UniqueFd client, ByteStream& stream, std::string signature);
  ShareSession(const ShareSession&) = delete;
  ShareSession& operator=(const ShareSession&) = delete;
  ~ShareSession() override;

  // Serves until the client goes (OK), the board does (BoardUnplugged, or
  // another typed error), or `stop`, a descriptor, is readable (CANCELLED).
  // The lines are released then. `others` is polled as well (-1: nothing), and
  // `on_others` called when it is readable.
  absl::Status Run(int stop, int others, const std::function<void()>& on_others);

 private:
  // Bytes for the board, or a request.
  using Command = std::variant<std::vector<uint8_t>, ComPortMessage>;

  // ---- The client's thread ----
  void OnData(absl::Span<const uint8_t> bytes) override;
  void OnNegotiation(TelnetVerb verb, uint8_t option) override;
  void OnSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload) override;
  absl::Status TalkToClient(int stop, int others, const std::function<void()>& on_others);
  // False once the client is gone.
  bool Receive();
  bool Send();
  void Enqueue(Command command);

  // ---- The board's thread ----
  void ServeBoard();
  absl::Status ServeBoardUntilEnd();
  // Reads from the board for at most `limit`, or until there is a command; with
  // `waiting`, the one that is there already has to wait.
  absl::Status ReadBoard(absl::Duration limit, bool waiting);
  // As ComPortServer::Handle; its answer is on its way to the client.
  absl::StatusOr<std::optional<absl::Duration>> Handle(const Command& command);
  // Takes back an interrupt that has found nothing to interrupt.
  void SwallowInterrupt();
  void ToClient(absl::Span<const uint8_t> bytes);
  void WakeClientThread();

  const base::UniqueFd client_;
  ByteStream& stream_;
  const base::UniqueFd wake_;  // an eventfd: there is something for the client's thread

  // The client's thread's own.
  TelnetDecoder decoder_;
  TelnetOptions options_;
  std::vector<uint8_t> sending_;
  size_t sent_ = 0;
  bool introduced_ = false;  // the client knows of the com port option

  // The board's thread's own.
  ComPortServer com_port_;

  absl::Mutex mutex_;
  std::deque<Command> commands_ ABSL_GUARDED_BY(mutex_);
  size_t command_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<uint8_t> for_client_ ABSL_GUARDED_BY(mutex_);  // encoded
  bool suspended_ ABSL_GUARDED_BY(mutex_) = false;           // the client asked for a pause
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;  // the board's thread may be interrupted
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool board_ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status board_end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_SHARE_SESSION_H_
