#ifndef KILN_DAEMON_PORTS_USB_USB_CONTEXT_H_
#define KILN_DAEMON_PORTS_USB_USB_CONTEXT_H_

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

struct libusb_context;

namespace kiln::ports {

// The station's one libusb context and the thread that runs its events: completions of transfers
// and hotplug. Made by main, outlives every opener and source that uses it. Thread-safe. With
// nothing open and nothing plugged the thread sleeps.
class UsbContext {
 public:
  // Gets what failed ("bulk_in") and how ("no_device"): small fixed sets of words, fit for the
  // labels of a metric. Called on any thread: it must return at once and not call the context.
  using ErrorObserver = std::function<void(absl::string_view operation, absl::string_view code)>;

  // UsbUnavailable when libusb cannot start; the station then lives without USB drivers of its own.
  static absl::StatusOr<std::unique_ptr<UsbContext>> Create();
  virtual ~UsbContext() = default;

  // Whether arrivals and departures are told at all: libusb can and has accepted the wish. In
  // containers the system may still send none.
  virtual bool has_hotplug() const = 0;
  // `observer` is called after each arrival or departure of any USB device, on the event thread: it
  // must return at once and must not call libusb. Null: nobody. Returns once the former one is
  // done.
  virtual void SetHotplugObserver(std::function<void()> observer) = 0;

  virtual libusb_context* get() = 0;

  // To be called on the event thread, by what it calls: before it looks for events again it may let
  // `time` pass, or less when it is called several times.
  virtual void Gather(absl::Duration time) = 0;

  // `observer` is told of every transfer that fails. Null: nobody. Returns once the former one is
  // done.
  void SetErrorObserver(ErrorObserver observer);
  // For those who transfer: tells the observer.
  void ReportError(absl::string_view operation, absl::string_view code);

 private:
  absl::Mutex errors_mutex_;
  ErrorObserver error_observer_ ABSL_GUARDED_BY(errors_mutex_);
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_CONTEXT_H_
