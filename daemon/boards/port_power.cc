#include "daemon/boards/port_power.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/boards/usb_attributes.h"
#include "errors/error.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using errors::MakeError;

constexpr absl::Duration kPause = absl::Milliseconds(50);
// The kernel takes the board away before the write returns; this is for its files.
constexpr absl::Duration kLeaveTimeout = absl::Seconds(5);
// Power up, debounce, reset and enumeration take about a second; a slow hub is tried several times.
constexpr absl::Duration kReturnTimeout = absl::Seconds(15);

bool Exists(const std::string& path) {
  struct stat found = {};
  return ::stat(path.c_str(), &found) == 0;
}

std::string DevicePath(const std::string& sysfs_root, const UsbTopology& topology) {
  return absl::StrCat(sysfs_root, "/bus/usb/devices/", topology.name());
}

// The folder of a hub port: "1-2:1.0/1-2-port3", of a root hub "1-0:1.0/usb1-port3"
// (Documentation/ABI/testing/sysfs-bus-usb).
std::string PortPath(const std::string& sysfs_root, const UsbTopology& topology) {
  const std::string hub = topology.hub();
  const std::string interface = topology.hub_ports.size() == 1
                                    ? absl::StrCat(static_cast<int>(topology.bus), "-0:1.0")
                                    : absl::StrCat(hub, ":1.0");
  return absl::StrCat(sysfs_root, "/bus/usb/devices/", interface, "/", hub, "-port",
                      static_cast<int>(topology.hub_ports.back()));
}

// The switches of the port and of its USB 3 twin, as far as they are there.
std::vector<std::string> SwitchesOf(const std::string& sysfs_root, const UsbTopology& topology) {
  const std::string port = PortPath(sysfs_root, topology);
  std::vector<std::string> switches;
  for (const char* name : {"/disable", "/peer/disable"}) {
    std::string path = absl::StrCat(port, name);
    if (Exists(path)) switches.push_back(std::move(path));
  }
  return switches;
}

absl::Status WriteSwitch(const std::string& path, bool off) {
  const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const int opened = errno;
  if (file.valid() && ::write(file.get(), off ? "1" : "0", 1) == 1) return absl::OkStatus();
  const int error = file.valid() ? errno : opened;
  if (error == EROFS) {
    return MakeError(ErrorCode::kPortPermission,
                     absl::StrCat(path,
                                  " may not be written: the service or container sees /sys "
                                  "read-only (ProtectKernelTunables= in its unit)"));
  }
  if (error == EACCES || error == EPERM) {
    return MakeError(ErrorCode::kPortPermission,
                     absl::StrCat("user ", ::geteuid(), " may not write ", path,
                                  "; install the udev rules 90-kiln.rules"));
  }
  return MakeError(ErrorCode::kPortFailed, absl::StrCat(path, ": ", std::strerror(error)));
}

// Holds the switches off, and switches them on again in the end, whatever came between.
class PowerOff {
 public:
  explicit PowerOff(std::vector<std::string> switches) : switches_(std::move(switches)) {}
  ~PowerOff() { SwitchOn().IgnoreError(); }
  PowerOff(const PowerOff&) = delete;
  PowerOff& operator=(const PowerOff&) = delete;

  absl::Status SwitchOff() {
    on_ = false;
    for (const std::string& path : switches_) RETURN_IF_ERROR(WriteSwitch(path, /*off=*/true));
    return absl::OkStatus();
  }
  absl::Status SwitchOn() {
    if (on_) return absl::OkStatus();
    on_ = true;
    absl::Status result;
    for (const std::string& path : switches_) result.Update(WriteSwitch(path, /*off=*/false));
    return result;
  }

 private:
  const std::vector<std::string> switches_;
  bool on_ = true;
};

// Waits until the board's being there is `there`; DEADLINE_EXCEEDED, CANCELLED.
absl::Status AwaitBoard(const std::string& path, bool there, absl::Duration timeout,
                        base::Clock& clock, const base::Cancellation& cancellation) {
  const absl::Duration end = clock.Monotonic() + timeout;
  while (Exists(path) != there) {
    RETURN_IF_ERROR(cancellation.Check());
    if (clock.Monotonic() >= end) return absl::DeadlineExceededError(path);
    clock.Sleep(kPause);
  }
  return absl::OkStatus();
}

}  // namespace

bool HasPortPower(const std::string& sysfs_root, const UsbTopology& topology) {
  return Exists(absl::StrCat(PortPath(sysfs_root, topology), "/disable"));
}

absl::Status PowerCyclePort(const std::string& sysfs_root, const UsbTopology& topology,
                            absl::Duration off_time, base::Clock& clock,
                            const base::Cancellation& cancellation) {
  const std::string board = DevicePath(sysfs_root, topology);
  if (!HasPortPower(sysfs_root, topology)) {
    return MakeError(ErrorCode::kPortPowerUnsupported,
                     absl::StrCat("port ", static_cast<int>(topology.hub_ports.back()), " of hub ",
                                  topology.hub(), " has no switch in ", sysfs_root));
  }
  RETURN_IF_ERROR(cancellation.Check());
  PowerOff power(SwitchesOf(sysfs_root, topology));
  RETURN_IF_ERROR(power.SwitchOff());
  const absl::Status left = AwaitBoard(board, false, kLeaveTimeout, clock, cancellation);
  if (absl::IsDeadlineExceeded(left)) {
    return MakeError(ErrorCode::kPortFailed,
                     absl::StrCat("the board at usb-", topology.name(),
                                  " is still there although its port is switched off"));
  }
  RETURN_IF_ERROR(left);
  const absl::Duration on_time = clock.Monotonic() + off_time;
  while (clock.Monotonic() < on_time) {
    RETURN_IF_ERROR(cancellation.Check());
    clock.Sleep(std::min(kPause, on_time - clock.Monotonic()));
  }
  RETURN_IF_ERROR(power.SwitchOn());
  absl::Status back = AwaitBoard(board, true, kReturnTimeout, clock, cancellation);
  if (absl::IsDeadlineExceeded(back)) {
    return MakeError(ErrorCode::kBoardNotFound, absl::StrCat("the board at usb-", topology.name(),
                                                             " did not come back within ",
                                                             absl::FormatDuration(kReturnTimeout)));
  }
  return back;
}

}  // namespace kiln::boards
