#ifndef KILN_DAEMON_PORTS_RFC2217_RFC2217_STREAM_H_
#define KILN_DAEMON_PORTS_RFC2217_RFC2217_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/fd_stream.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/telnet.h"

namespace kiln::ports {

// The client's side of RFC 2217: a serial port that another computer lends.
// Settings are requests that the server acknowledges; one that it refuses, or
// does not answer in time, is PortFailed, a rate it does not take
// BaudRateUnsupported. A connection that ends is BoardUnplugged: whether board,
// computer or network went is not known.
// Threads as ByteStream says.
class Rfc2217Stream final : public FdStream, private TelnetSink {
 public:
  struct Timeouts {
    // For the agreement after connecting; a server that serves one client at a
    // time may still be busy with parting from the last.
    absl::Duration negotiation = absl::Seconds(8);
    // For each acknowledgement.
    absl::Duration answer = absl::Seconds(5);
    // For the first acknowledgement of the modem lines: there are servers that
    // never send one, because they run a reset sequence of their own instead.
    absl::Duration first_lines = absl::Seconds(1);
  };

  // Agrees with the server at the other end of the connected socket `fd` on a
  // transparent connection, sets 115200 8N1, empties its buffers and measures
  // the way there and back. The modem lines are left as they are. PortBusy when
  // it closes at once, PortFailed when it is no RFC 2217 server or refuses.
  static absl::StatusOr<std::unique_ptr<Rfc2217Stream>> Negotiate(base::UniqueFd fd,
                                                                  std::string address,
                                                                  const Timeouts& timeouts);
  static absl::StatusOr<std::unique_ptr<Rfc2217Stream>> Negotiate(base::UniqueFd fd,
                                                                  std::string address);

  LinkTraits traits() const override;
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override;
  // Also waits while the server asks for a pause.
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) override;
  // Waits until the server has taken everything and says so. Its port may then
  // still be sending the last of it: RFC 2217 has no reliable word for that.
  absl::Status Drain(absl::Duration timeout) override;
  // What the server still held goes too: whatever was sent before it answered.
  absl::Status DiscardInput() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  // Asks for both in one message, DTR first, and only for what changes: some
  // servers take a line that is set again for the start of a reset.
  absl::Status SetLines(bool dtr, bool rts) override;

  // Whether the connection has ended.
  bool gone() const { return !CheckAlive().ok(); }
  // Whether the server acknowledges the modem lines, once that is known.
  std::optional<bool> acknowledges_lines() const { return acknowledges_lines_; }

 private:
  Rfc2217Stream(base::UniqueFd fd, base::UniqueFd wakeup, std::string address,
                const Timeouts& timeouts);

  // TelnetSink
  void OnData(absl::Span<const uint8_t> bytes) override;
  void OnNegotiation(TelnetVerb verb, uint8_t option) override;
  void OnSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload) override;

  absl::Status Agree();
  absl::Status SetUp();
  // Sends what is in the outbox and takes what arrives until `done` and the
  // outbox is empty. Errors as FdStream::Await.
  absl::Status Exchange(absl::Duration deadline, absl::FunctionRef<bool()> done);
  absl::Status SendSome();
  absl::Status ReceiveSome();
  void Ask(ComPortCommand command, std::optional<uint32_t> value);
  // The newest answer to `command` among those between `low` and `high`.
  std::optional<uint32_t> AnswerTo(ComPortCommand command, uint32_t low = 0,
                                   uint32_t high = UINT32_MAX) const;
  // Waits for an answer to what was asked; PortFailed when none comes.
  absl::StatusOr<uint32_t> AwaitAnswer(ComPortCommand command);
  // A missing answer is PortFailed, with the server's name and `what`.
  absl::Status NoAnswer(const absl::Status& status, absl::string_view what) const;

  const Timeouts timeouts_;
  TelnetDecoder decoder_;
  TelnetOptions options_;
  std::vector<uint8_t> outbox_;  // encoded, not yet sent; at most one chunk of data and requests
  std::vector<uint8_t> inbox_;   // decoded, from inbox_read_ on not yet read
  size_t inbox_read_ = 0;
  std::vector<ComPortMessage> answers_;  // since the last request, bounded
  bool suspended_ = false;               // the server asked for a pause
  uint32_t baud_ = 0;                    // acknowledged; 0 when unknown
  std::optional<bool> dtr_;              // as last asked for
  std::optional<bool> rts_;
  std::optional<bool> acknowledges_lines_;
  absl::Duration round_trip_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_RFC2217_STREAM_H_
