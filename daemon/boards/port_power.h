#ifndef KILN_DAEMON_BOARDS_PORT_POWER_H_
#define KILN_DAEMON_BOARDS_PORT_POWER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "daemon/boards/usb_attributes.h"

namespace kiln::boards {

// Whether the kernel lets the hub port at `topology` be switched off: its attribute "disable", of
// Linux 6.0 and newer. That says that the board can be cut off the bus and comes anew; whether its
// supply goes, too, is the hub's matter (bHubCharacteristics; most cheap hubs ignore it).
bool HasPortPower(const std::string& sysfs_root, const UsbTopology& topology);

// Switches the hub port off, leaves it off for `off_time`, switches it on again, and waits until
// the kernel has the board back. A port with a USB 3 twin (its link "peer") is switched together
// with it, since they share one supply. Once off, it is switched on again however this ends. Blocks
// for seconds.
//
// PortPowerUnsupported when the kernel offers no switch, PortPermission when this process may not
// use it, PortFailed when the board does not go, BoardNotFound when it does not come back,
// CANCELLED.
absl::Status PowerCyclePort(const std::string& sysfs_root, const UsbTopology& topology,
                            absl::Duration off_time, base::Clock& clock,
                            const base::Cancellation& cancellation);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_PORT_POWER_H_
