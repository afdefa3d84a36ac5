#ifndef KILN_DAEMON_ESP_LOADER_LINK_H_
#define KILN_DAEMON_ESP_LOADER_LINK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "daemon/esp/loader_protocol.h"
#include "daemon/esp/slip.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::esp {

// Rate of the first contact and of a started program.
inline constexpr uint32_t kFirstContactBaudRate = 115200;
// Timeouts: Espressif's serial protocol as esptool and espflash apply it.
inline constexpr absl::Duration kDefaultTimeout = absl::Seconds(3);

// `per_mebibyte` for `bytes`, at least the default timeout.
absl::Duration TimeoutFor(uint64_t bytes, absl::Duration per_mebibyte);

// What a loader answered to one request.
struct LoaderAnswer {
  uint32_t value = 0;
  std::vector<uint8_t> payload;  // status bytes included
};

// Requests and answers over a byte stream, one at a time, every wait bounded. Owned by a Flasher
// and used on its thread. Errors: BoardSilent when the time is up, ProtocolError when the loader
// refuses or talks nonsense, CANCELLED, and those of the stream.
class LoaderLink {
 public:
  LoaderLink(ports::ByteStream& stream, base::Clock& clock, const base::Cancellation& cancellation);

  ports::LinkTraits traits() const { return stream_.traits(); }
  ports::ByteStream& stream() { return stream_; }
  base::Clock& clock() { return clock_; }
  uint32_t baud_rate() const { return baud_rate_; }

  // OK, or CANCELLED. Asked before every request and while waiting.
  absl::Status CheckCancelled() const { return cancellation_.Check(); }

  // Changes our side of the rate; nothing on links that have none.
  absl::Status SetBaudRate(uint32_t baud);
  // Throws away what has arrived and a frame that was begun.
  absl::Status DiscardInput();

  // Hands a framed request to the stream. It may still be on the wire afterwards.
  absl::Status Send(absl::Span<const uint8_t> frame);
  // Waits for the answer to `command` (in this and the other waits: `timeout`, and on a link with a
  // round trip as much longer as the way may take), skipping answers to other commands. Does not
  // look at the status.
  absl::StatusOr<LoaderAnswer> Await(LoaderCommand command, absl::Duration timeout);
  // Await, then ProtocolError unless the status after `data_bytes` of data is success.
  absl::StatusOr<LoaderAnswer> AwaitSuccess(LoaderCommand command, size_t data_bytes,
                                            absl::Duration timeout);
  // Frames and sends a request, then AwaitSuccess.
  absl::StatusOr<LoaderAnswer> Transact(LoaderCommand command, absl::Span<const uint8_t> payload,
                                        size_t data_bytes = 0,
                                        absl::Duration timeout = kDefaultTimeout);
  // Waits for a stub's greeting, which is no response. A refused MEM_END ends the wait at once.
  absl::Status AwaitGreeting(absl::Duration timeout);

  // Remembers the newest bytes that arrive, to tell a boot log from silence; at most 4 KiB.
  void StartTranscript();
  void StopTranscript();
  const std::string& transcript() const { return transcript_; }

 private:
  // Calls `accept` with every frame that arrives until it answers true or an error.
  absl::Status AwaitFrame(
      absl::Duration timeout, const std::string& what,
      absl::FunctionRef<absl::StatusOr<bool>(absl::Span<const uint8_t>)> accept);
  absl::Status Receive(absl::Duration deadline, const std::string& what);

  ports::ByteStream& stream_;
  base::Clock& clock_;
  const base::Cancellation& cancellation_;
  uint32_t baud_rate_ = kFirstContactBaudRate;
  SlipEncoder encoder_;
  SlipDecoder decoder_;
  std::array<uint8_t, 4096> buffer_;
  absl::Span<const uint8_t> received_;  // part of buffer_ not yet decoded
  bool keep_transcript_ = false;
  std::string transcript_;
};

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_LOADER_LINK_H_
