#ifndef KILN_DAEMON_BOARDS_CONFIGURED_PORTS_H_
#define KILN_DAEMON_BOARDS_CONFIGURED_PORTS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "daemon/boards/port_access.h"
#include "daemon/boards/port_source.h"

namespace kiln::boards {

// One port of the station's configuration.
struct PortConfig {
  // 1 to 64 letters, digits and "._-", the first a letter or digit.
  std::string name;
  // May be empty; otherwise as `name`.
  std::string alias;
  // As ports::MakeOpener takes it. Empty: the port is one that another source
  // finds under this name, "usb-1-2.3", and only gets its alias here.
  std::string address;
};

// How the system shows its terminals; others only in tests.
struct TerminalSystem {
  // OK or PortPermission, without opening the file at `path`.
  std::function<absl::Status(const std::string& path)> check_access = CheckAccess;
  std::string sysfs_root = "/sys";
};

// The source of the configured ports, which are always known, whether a board
// is there or not. Terminals have the two seconds that every board has for its
// permissions (settle_time.h). RequestInvalid, naming the port, for wrong names,
// aliases or addresses, and for anything said twice. `clock` must outlive the
// source and its openers.
absl::StatusOr<std::unique_ptr<PortSource>> MakeConfiguredPorts(
    const std::vector<PortConfig>& configs, base::Clock& clock, TerminalSystem system = {});

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_CONFIGURED_PORTS_H_
