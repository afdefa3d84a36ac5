#include "daemon/boards/hotplug_record.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace kiln::boards {
namespace {

// Whether libudev is loaded, which nothing but libusb brings along.
bool LibudevIsLoaded() {
  void* library = ::dlopen("libudev.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return false;
  ::dlclose(library);
  return true;
}

}  // namespace

absl::string_view NameOf(HotplugMode mode) {
  switch (mode) {
    case HotplugMode::kUdev:
      return "udev";
    case HotplugMode::kNetlink:
      return "netlink";
    case HotplugMode::kPoll:
      return "poll";
  }
  return "poll";
}

HotplugMode DetectHotplugMode(bool has_events, const std::string& run_root) {
  return DetectHotplugMode(has_events, LibudevIsLoaded(), run_root);
}

HotplugMode DetectHotplugMode(bool has_events, bool libusb_uses_udev, const std::string& run_root) {
  if (!has_events) return HotplugMode::kPoll;
  if (!libusb_uses_udev) return HotplugMode::kNetlink;
  struct stat found = {};
  const bool udev_runs = ::stat(absl::StrCat(run_root, "/udev/control").c_str(), &found) == 0;
  return udev_runs ? HotplugMode::kUdev : HotplugMode::kPoll;
}

void HotplugRecord::EventCame() {
  absl::MutexLock lock(&mutex_);
  event_came_ = true;
}

void HotplugRecord::BoardFound(FoundBy by) {
  absl::MutexLock lock(&mutex_);
  last_ = by;
  if (by == FoundBy::kScan) scan_found_ = true;
}

HotplugMode HotplugRecord::mode() const {
  absl::MutexLock lock(&mutex_);
  if (event_came_ && promised_ == HotplugMode::kPoll) return HotplugMode::kNetlink;
  return scan_found_ && !event_came_ ? HotplugMode::kPoll : promised_;
}

std::string HotplugRecord::Describe() const {
  const HotplugMode now = mode();
  absl::MutexLock lock(&mutex_);
  if (!last_.has_value()) {
    return now == HotplugMode::kPoll
               ? "No events come from the USB bus; the scan has found no board yet."
               : absl::StrCat("Events are expected from ", NameOf(now), "; no board came yet.");
  }
  return *last_ == FoundBy::kEvent
             ? absl::StrCat("The last board was found by an event (", NameOf(now), ").")
             : "The last board was found by the scan, not by an event.";
}

}  // namespace kiln::boards
