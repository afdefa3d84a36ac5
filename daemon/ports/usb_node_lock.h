#ifndef KILN_DAEMON_PORTS_USB_NODE_LOCK_H_
#define KILN_DAEMON_PORTS_USB_NODE_LOCK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "daemon/ports/usb_sysfs.h"

namespace kiln::ports {

// How stations share out the adapters of one machine, whichever driver each uses, whoever it runs
// as and whatever container it runs in: an adapter's node in /dev/bus/usb has one byte for each
// interface, locked by whoever uses that interface. The lock is the open file's: the kernel drops
// it with the process.
enum class UsbNodeUse {
  kTerminal,   // through the kernel's terminal; a file opened for reading will do
  kOwnDriver,  // needs a file opened for writing, and bears no other use beside it
};

// "/dev/bus/usb/001/004".
std::string UsbNodePath(int bus, int device_number, const std::string& dev_root = "/dev");

// Locks the byte of `interface` of the open node `fd`, without waiting. False when another open
// file has it for a use that this one cannot stand beside: terminals settle it among themselves.
// PortFailed when there is no telling.
absl::StatusOr<bool> LockUsbNode(int fd, uint8_t interface, UsbNodeUse use);

// Locks the node of the device behind a terminal for kTerminal; the lock goes with the file
// returned. That is none where the node is not to be opened: a container that was given the
// terminal alone has no node. PortBusy, with `path` of the terminal, when an own driver has it.
absl::StatusOr<base::UniqueFd> LockNodeOfTerminal(const UsbDevice& device, const std::string& path,
                                                  const std::string& dev_root = "/dev");

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_NODE_LOCK_H_
