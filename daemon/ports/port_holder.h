#ifndef KILN_DAEMON_PORTS_PORT_HOLDER_H_
#define KILN_DAEMON_PORTS_PORT_HOLDER_H_

#include <string>

namespace kiln::ports {

// Names a process that has the device at `path` open: "screen (pid 1234)".
// Empty when none is found, which without privileges means little: other users'
// processes cannot be looked into. `proc_root` is for tests.
std::string FindHolder(const std::string& path, const std::string& proc_root = "/proc");
// The same for a path that is no link, nor leads over one: a node in /dev/bus/usb.
std::string FindHolderOfNode(const std::string& node, const std::string& proc_root = "/proc");

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_PORT_HOLDER_H_
