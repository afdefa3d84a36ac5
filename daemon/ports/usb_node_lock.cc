#include "daemon/ports/usb_node_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/port_holder.h"
#include "daemon/ports/usb_sysfs.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

std::string UsbNodePath(int bus, int device_number, const std::string& dev_root) {
  return absl::StrFormat("%s/bus/usb/%03d/%03d", dev_root, bus, device_number);
}

absl::StatusOr<bool> LockUsbNode(int fd, uint8_t interface, UsbNodeUse use) {
  struct flock lock = {};
  lock.l_type = use == UsbNodeUse::kOwnDriver ? F_WRLCK : F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = interface;
  lock.l_len = 1;
  if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return MakeError(ErrorCode::kPortFailed,
                   absl::StrCat("the adapter's node cannot be locked: ", std::strerror(errno)));
}

absl::StatusOr<base::UniqueFd> LockNodeOfTerminal(const UsbDevice& device, const std::string& path,
                                                  const std::string& dev_root) {
  const std::string node = UsbNodePath(device.bus, device.device_number, dev_root);
  base::UniqueFd file(::open(node.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return base::UniqueFd();
  ASSIGN_OR_RETURN(const bool locked,
                   LockUsbNode(file.get(), device.interface_number, UsbNodeUse::kTerminal));
  if (locked) return file;
  file.Reset();  // so that this process is not named as the holder for its attempt
  const std::string holder = FindHolderOfNode(node);
  return MakeError(ErrorCode::kPortBusy,
                   absl::StrCat(path, ": the adapter is used through ", node, " by ",
                                holder.empty() ? "another station" : holder));
}

}  // namespace kiln::ports
