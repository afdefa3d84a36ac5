#ifndef KILN_DAEMON_BOARDS_CREATE_REGISTRY_H_
#define KILN_DAEMON_BOARDS_CREATE_REGISTRY_H_

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/registry.h"

namespace kiln::boards {

// The safety net under all events: how often the registry looks by itself.
inline constexpr absl::Duration kScanInterval = absl::Seconds(1);
// Events closer together than this share one look: a hub of 32 boards that is reset sends hundreds.
inline constexpr absl::Duration kWakeInterval = absl::Milliseconds(50);
// After the last event, when the registry looks again for what follows an arrival.
inline constexpr absl::Duration kFirstFollowUp = absl::Milliseconds(200);
inline constexpr absl::Duration kSecondFollowUp = absl::Milliseconds(600);
// While a board is held back that may be a configured port's (ArrivalHold): for at most two
// seconds.
inline constexpr absl::Duration kHoldInterval = absl::Milliseconds(100);

// The station's registry over `sources`. When several sources name the same
// port, the first one that has it present wins and the first alias given is
// kept; when several find the same device under different names, only the first
// is used, and a board on the bus is not told while it may yet turn out to be the one that a port
// of an earlier source awaits. `clock` must outlive the registry.
std::unique_ptr<Registry> CreateRegistry(std::vector<std::unique_ptr<PortSource>> sources,
                                         base::Clock& clock);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_CREATE_REGISTRY_H_
