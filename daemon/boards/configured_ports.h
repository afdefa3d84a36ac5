#ifndef KILN_DAEMON_BOARDS_CONFIGURED_PORTS_H_
#define KILN_DAEMON_BOARDS_CONFIGURED_PORTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
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

// The source of the configured ports, which are always known, whether a board
// is there or not. RequestInvalid, naming the port, for wrong names, aliases or
// addresses, and for anything said twice.
absl::StatusOr<std::unique_ptr<PortSource>> MakeConfiguredPorts(
    const std::vector<PortConfig>& configs);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_CONFIGURED_PORTS_H_
