#include "daemon/ports/kernel_tty.h"

#include <linux/serial.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb_node_lock.h"
#include "daemon/ports/usb_sysfs.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

std::optional<UsbDevice> UsbDeviceBehind(const std::string& path, const std::string& sysfs_root) {
  std::error_code error;
  const std::filesystem::path device = std::filesystem::canonical(path, error);
  if (error) return std::nullopt;
  return UsbDeviceOfTty(device.filename().string(), sysfs_root);
}

LinkKind KindOf(const std::optional<UsbDevice>& usb) {
  if (!usb.has_value() || usb->vendor != kEspressifVendor) return LinkKind::kUartBridge;
  return usb->product == kUsbSerialJtagProduct ? LinkKind::kUsbSerialJtag : LinkKind::kUsbOtg;
}

// Asks the driver to hand over what arrives at once (FTDI waits 16 ms
// otherwise). Many drivers have nothing to set, which is as well.
void AskForLowLatency(int fd) {
  serial_struct settings = {};
  if (::ioctl(fd, TIOCGSERIAL, &settings) != 0) return;
  if ((settings.flags & ASYNC_LOW_LATENCY) != 0) return;
  settings.flags |= ASYNC_LOW_LATENCY;
  [[maybe_unused]] const int ignored = ::ioctl(fd, TIOCSSERIAL, &settings);
}

}  // namespace

KernelTty::KernelTty(base::UniqueFd fd, base::UniqueFd wakeup, base::UniqueFd node,
                     std::string path, const LinkTraits& traits)
    : TtyStream(std::move(fd), std::move(wakeup), std::move(path)),
      node_(std::move(node)),
      traits_(traits) {}

KernelTty::~KernelTty() {
  // A terminal that others keep open would stay closed to newcomers.
  ::ioctl(fd(), TIOCNXCL);
}

absl::StatusOr<std::unique_ptr<KernelTty>> KernelTty::Open(const std::string& path,
                                                           const std::string& sysfs_root,
                                                           const std::string& dev_root) {
  ASSIGN_OR_RETURN(base::UniqueFd wakeup, MakeWakeup());
  const std::optional<UsbDevice> usb = UsbDeviceBehind(path, sysfs_root);
  // Before the terminal, whose opening alone may move the modem lines.
  base::UniqueFd node;
  if (usb.has_value()) {
    ASSIGN_OR_RETURN(node, LockNodeOfTerminal(*usb, path, dev_root));
  }
  ASSIGN_OR_RETURN(base::UniqueFd fd, OpenLocked(path));
  RETURN_IF_ERROR(MakeRaw(fd.get(), path));
  // From here on open() itself refuses others, whether they lock or not.
  if (::ioctl(fd.get(), TIOCEXCL) != 0) {
    return errors::MakeError(errors::ErrorCode::kPortFailed,
                             absl::StrCat(path, ": cannot be held exclusively"));
  }
  AskForLowLatency(fd.get());
  int bits = 0;
  const LinkTraits traits = {.kind = KindOf(usb),
                             .has_modem_lines = ::ioctl(fd.get(), TIOCMGET, &bits) == 0,
                             .has_baud_rate = true};
  return std::unique_ptr<KernelTty>(
      new KernelTty(std::move(fd), std::move(wakeup), std::move(node), path, traits));
}

absl::Status KernelTty::SetLines(bool dtr, bool rts) {
  RETURN_IF_ERROR(CheckAlive());
  // One TIOCMSET, not two TIOCMBIS: an auto-reset circuit sees no state between.
  int bits = 0;
  if (::ioctl(fd(), TIOCMGET, &bits) != 0) return Failure("TIOCMGET", errno);
  bits &= ~(TIOCM_DTR | TIOCM_RTS);
  if (dtr) bits |= TIOCM_DTR;
  if (rts) bits |= TIOCM_RTS;
  if (::ioctl(fd(), TIOCMSET, &bits) != 0) return Failure("TIOCMSET", errno);
  return absl::OkStatus();
}

KernelTtyOpener::KernelTtyOpener(std::string path, std::string sysfs_root, std::string dev_root)
    : path_(std::move(path)), sysfs_root_(std::move(sysfs_root)), dev_root_(std::move(dev_root)) {}

absl::StatusOr<std::unique_ptr<ByteStream>> KernelTtyOpener::Open() {
  return KernelTty::Open(path_, sysfs_root_, dev_root_);
}

bool KernelTtyOpener::Present() {
  struct stat found = {};
  return ::stat(path_.c_str(), &found) == 0 && S_ISCHR(found.st_mode);
}

std::string KernelTtyOpener::Instance() {
  // devtmpfs gives every new node a new inode.
  struct stat found = {};
  if (::stat(path_.c_str(), &found) != 0) return "";
  return absl::StrCat(found.st_dev, ":", found.st_ino, ":", found.st_rdev);
}

}  // namespace kiln::ports
