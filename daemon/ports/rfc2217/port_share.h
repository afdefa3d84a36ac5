#ifndef KILN_DAEMON_PORTS_RFC2217_PORT_SHARE_H_
#define KILN_DAEMON_PORTS_RFC2217_PORT_SHARE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/tcp_listener.h"

namespace kiln::ports {

// What a share tells the people who run it.
enum class ShareEvent {
  kNoBoard,     // nothing is plugged in; nobody can connect
  kReady,       // a client may connect; detail: "rfc2217://127.0.0.1:2217"
  kClient,      // one did; detail: its address
  kParted,      // it is gone and the lines are released; detail: why
  kTurnedAway,  // another was refused meanwhile; detail: its address
  kTrouble,     // the board cannot be used; detail: why
};

struct ShareOptions {
  // An IP address, without brackets, and a TCP port; 0 takes a free one. RFC
  // 2217 has no authentication: whoever can connect can write to the board.
  std::string host = "127.0.0.1";
  uint16_t port = 2217;
  // What the server calls itself when a client asks.
  std::string signature = "kiln port share";
  // Called on the thread of Run. May be empty.
  std::function<void(ShareEvent event, absl::string_view detail)> on_event;
};

// Lends one port to one client at a time by RFC 2217, for as long as it runs.
// The port is opened for each client and closed after it with the lines
// released; while no board is plugged in, nobody listens, so that a client
// knows. Reset sequences get their timing back (LineSequencer). Owned by its
// maker; Run on one thread, Stop from any.
class PortShare {
 public:
  // Takes the TCP port. `opener` must outlive the share. PortBusy when another
  // program has it, PortPermission, PortFailed.
  static absl::StatusOr<std::unique_ptr<PortShare>> Create(StreamOpener& opener,
                                                           ShareOptions options);
  PortShare(const PortShare&) = delete;
  PortShare& operator=(const PortShare&) = delete;

  // The TCP port, also where a free one was taken.
  uint16_t port() const { return listener_.port(); }
  // Where clients find it: "rfc2217://127.0.0.1:2217".
  std::string address() const;

  // Serves until Stop.
  void Run();
  // Makes Run return, now or as soon as it is called. Async-signal-safe.
  void Stop();

 private:
  PortShare(StreamOpener& opener, ShareOptions options, base::UniqueFd stop);

  // The next client; invalid when the board is gone or the share stops.
  base::UniqueFd AwaitClient();
  void Serve(base::UniqueFd client);
  void TurnAway(base::UniqueFd client);
  void Tell(ShareEvent event, absl::string_view detail) const;
  bool stopped() const;
  // Waits, but not beyond Stop.
  void Pause(absl::Duration duration) const;

  StreamOpener& opener_;
  const ShareOptions options_;
  const base::UniqueFd stop_;  // an eventfd that stays readable once stopped
  TcpListener listener_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_PORT_SHARE_H_
