#ifndef KILN_DAEMON_PORTS_USB_USB_CONTEXT_H_
#define KILN_DAEMON_PORTS_USB_USB_CONTEXT_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"

struct libusb_context;

namespace kiln::ports {

// The station's one libusb context and the thread that runs its events: completions of transfers
// and hotplug. Made by main, outlives every opener and source that uses it. Thread-safe. With
// nothing open and nothing plugged the thread sleeps.
class UsbContext {
 public:
  // UsbUnavailable when libusb cannot start; the station then lives without USB drivers of its own.
  static absl::StatusOr<std::unique_ptr<UsbContext>> Create();
  virtual ~UsbContext() = default;

  // Whether arrivals and departures are told at all (udev's or the kernel's netlink events reach
  // this process); containers often get none.
  virtual bool has_hotplug() const = 0;
  // `observer` is called after each arrival or departure of any USB device, on the event thread: it
  // must return at once and must not call libusb. Null: nobody. Returns once the former one is done.
  virtual void SetHotplugObserver(std::function<void()> observer) = 0;

  virtual libusb_context* get() = 0;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_CONTEXT_H_
