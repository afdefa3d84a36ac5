#ifndef KILN_DAEMON_PORTS_RFC2217_COM_PORT_SERVER_H_
#define KILN_DAEMON_PORTS_RFC2217_COM_PORT_SERVER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/line_sequencer.h"

namespace kiln::ports {

// What the requests of RFC 2217 mean to a board's byte stream: its rate and lines follow them, and
// each answer says what is in force, whatever was asked for. Owned by a session and used on its
// board's thread alone, which waits inside for as long as the stream does.
class ComPortServer {
 public:
  // `stream` must outlive it and be as it was opened. `signature` answers who asks for one.
  ComPortServer(ByteStream& stream, std::string signature);

  // Does what a client asks and appends the answer, as it travels, to `answer`. A duration means
  // that nothing was done yet: the same request is to come again after it, and before any other.
  // Errors are the stream's and end the session; what the port merely cannot do is answered.
  absl::StatusOr<std::optional<absl::Duration>> Handle(const ComPortMessage& message,
                                                       std::vector<uint8_t>& answer);
  // Bytes for the board.
  absl::Status Write(absl::Span<const uint8_t> bytes);

  // When a line that the client believes to be asserted must be at the latest, on the clock of
  // base::SystemClock; then call ApplyHeld.
  std::optional<absl::Duration> held_until() const { return sequencer_.held_until(); }
  absl::Status ApplyHeld() { return ApplyLines(sequencer_.asked()); }
  // Both lines, where there are any, as a board that runs wants them.
  void ReleaseLines();

 private:
  absl::StatusOr<std::optional<absl::Duration>> SetControl(uint32_t value,
                                                           std::vector<uint8_t>& answer);
  // Asserts or releases a line; sets `answer` to what the line is after that.
  absl::StatusOr<std::optional<absl::Duration>> SetLine(uint32_t value, uint32_t& answer);
  absl::Status ApplyLines(LineState lines);
  absl::Status SetBaudRate(uint32_t baud);
  // Whether all is sent; false when that takes too long.
  absl::StatusOr<bool> Drained();

  ByteStream& stream_;
  const std::string signature_;
  LineSequencer sequencer_;
  uint32_t baud_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_COM_PORT_SERVER_H_
