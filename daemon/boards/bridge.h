#ifndef KILN_DAEMON_BOARDS_BRIDGE_H_
#define KILN_DAEMON_BOARDS_BRIDGE_H_

#include "absl/strings/string_view.h"
#include "daemon/boards/registry.h"

namespace kiln::boards {

// The family of the adapter that a port's bytes go through, as metrics count boards by it:
// "cp210x", "ch34x", "ftdi", "cdc_acm" (a chip's own USB), "pty", "socket" (any network address),
// or "other". From the port's address and its USB ids: those of its facts, or where it has none,
// those at the end of its adapter's description.
absl::string_view BridgeOf(const BoardInfo& board);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_BRIDGE_H_
