#ifndef KILN_DAEMON_PORTS_PORT_HOLDER_H_
#define KILN_DAEMON_PORTS_PORT_HOLDER_H_

#include <map>
#include <string>
#include <vector>

namespace kiln::ports {

// Names a process that has the device at `path` open: "screen (pid 1234)".
// Empty when none is found, which without privileges means little: other users'
// processes cannot be looked into (by the kernel's ptrace rules, whatever /proc shows). `proc_root`
// is for tests.
std::string FindHolder(const std::string& path, const std::string& proc_root = "/proc");
// The same for a path that is no link, nor leads over one: a node in /dev/bus/usb.
std::string FindHolderOfNode(const std::string& node, const std::string& proc_root = "/proc");

// The same for many devices and all processes but this one, with one look at them, which takes
// milliseconds: by path, only those that are held.
std::map<std::string, std::string> FindHolders(const std::vector<std::string>& paths,
                                               const std::string& proc_root = "/proc");

// Whether this process itself has the device at `path` open.
bool HeldByThisProcess(const std::string& path, const std::string& proc_root = "/proc");

// A program that is known to seize serial adapters a moment after they are plugged in
// (ModemManager, brltty) and runs now: "brltty (pid 812)"; its files need not be visible. Empty
// when none runs.
std::string FindSeizer(const std::string& proc_root = "/proc");

// What to tell of a device that is in use: "/dev/ttyUSB0 is held by screen (pid 1234)". Without a
// holder, because none could be seen, the seizer that runs is named as the likely one. Of a seizer
// it says what keeps it away.
std::string DescribeUse(const std::string& path, const std::string& holder,
                        const std::string& proc_root = "/proc");

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_PORT_HOLDER_H_
