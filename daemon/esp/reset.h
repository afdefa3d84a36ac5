#ifndef KILN_DAEMON_ESP_RESET_H_
#define KILN_DAEMON_ESP_RESET_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::esp {

// One setting of the modem lines and how long it is held. True asserts the line: RTS alone pulls
// EN low (the chip is in reset), DTR alone pulls GPIO0 low (download mode at the next start).
struct LineStep {
  bool dtr;
  bool rts;
  absl::Duration hold;
};

struct ResetSequence {
  absl::string_view name;  // for logs: "UnixTight 50 ms"
  absl::Span<const LineStep> steps;
};

// The ways into the loader that make sense for a link, best first; empty for links without modem
// lines. Sources: ESP-IDF "Boot Mode Selection" and espflash's connection/reset.rs.
absl::Span<const ResetSequence> LoaderResetSequences(const ports::LinkTraits& traits);

// The way out of the loader into the program. Only for links with modem lines.
const ResetSequence& HardReset(const ports::LinkTraits& traits);

// Drives the lines through `sequence`, sleeping on `clock`.
absl::Status RunResetSequence(const ResetSequence& sequence, ports::ByteStream& stream,
                              base::Clock& clock);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_RESET_H_
