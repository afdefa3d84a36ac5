#ifndef KILN_DAEMON_BOARDS_HOTPLUG_RECORD_H_
#define KILN_DAEMON_BOARDS_HOTPLUG_RECORD_H_

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "daemon/boards/registry.h"

namespace kiln::boards {

// Who tells of arrivals on the USB bus.
enum class HotplugMode {
  kUdev,     // udev's events, after it has set the permissions
  kNetlink,  // the kernel's own
  kPoll,     // nobody: only the scan finds boards
};

// "udev", "netlink", "poll", as the metric says it.
absl::string_view NameOf(HotplugMode mode);

// What the system promises: `has_events` as ports::UsbContext::has_hotplug says. A libusb that is
// built on libudev hears nothing where no udev runs: libudev then silently listens to nothing
// (systemd's sd-device monitor wants /run/udev/control).
HotplugMode DetectHotplugMode(bool has_events, const std::string& run_root = "/run");
// As above, told whether libusb is built on libudev.
HotplugMode DetectHotplugMode(bool has_events, bool libusb_uses_udev, const std::string& run_root);

// What has really happened since the station started: whether events come, and which way found the
// last board. A promise of events is not believed any more once the scan has found a board while
// no event ever came, as in a container with a user namespace of its own. Made by the station.
// Thread-safe.
class HotplugRecord {
 public:
  explicit HotplugRecord(HotplugMode promised) : promised_(promised) {}

  void EventCame();
  void BoardFound(FoundBy by);
  HotplugMode mode() const;
  // "The last board was found by a udev event." for people.
  std::string Describe() const;

 private:
  const HotplugMode promised_;
  mutable absl::Mutex mutex_;
  bool event_came_ ABSL_GUARDED_BY(mutex_) = false;
  bool scan_found_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<FoundBy> last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_HOTPLUG_RECORD_H_
