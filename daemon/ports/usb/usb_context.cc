#include "daemon/ports/usb/usb_context.h"

#include <libusb.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/ports/usb/libusb_errors.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

class LibusbContext final : public UsbContext {
 public:
  explicit LibusbContext(libusb_context* context) : context_(context) {
    has_hotplug_ =
        libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) != 0 &&
        libusb_hotplug_register_callback(
            context_, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT,
            LIBUSB_HOTPLUG_NO_FLAGS, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
            LIBUSB_HOTPLUG_MATCH_ANY, &LibusbContext::OnHotplug, this, &hotplug_) == LIBUSB_SUCCESS;
    thread_ = std::thread([this] { RunEvents(); });
  }

  ~LibusbContext() override {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    libusb_interrupt_event_handler(context_);
    thread_.join();
    if (has_hotplug_) libusb_hotplug_deregister_callback(context_, hotplug_);
    libusb_exit(context_);
  }

  bool has_hotplug() const override { return has_hotplug_; }

  void SetHotplugObserver(std::function<void()> observer) override {
    absl::MutexLock lock(&observer_mutex_);
    observer_ = std::move(observer);
  }

  libusb_context* get() override { return context_; }

  void Gather(absl::Duration time) override { gather_ = std::min(gather_, time); }

 private:
  static int LIBUSB_CALL OnHotplug(libusb_context* /*context*/, libusb_device* /*device*/,
                                   libusb_hotplug_event /*event*/, void* self) {
    auto* context = static_cast<LibusbContext*>(self);
    absl::MutexLock lock(&context->observer_mutex_);
    if (context->observer_ != nullptr) context->observer_();
    return 0;  // 1 would end the registration
  }

  // libusb sleeps in poll until a transfer ends, a device comes or goes, or it is interrupted; of
  // itself it wakes once a minute.
  void RunEvents() {
    while (!stopping()) {
      const int result = libusb_handle_events(context_);
      absl::Duration pause = std::exchange(gather_, kNever);
      if (result != LIBUSB_SUCCESS && result != LIBUSB_ERROR_INTERRUPTED) {
        ReportError("events", LibusbErrorCode(result));
        pause = kErrorPause;
      }
      if (pause != kNever) AwaitStop(pause);
    }
  }

  bool stopping() {
    absl::MutexLock lock(&mutex_);
    return stopping_;
  }

  void AwaitStop(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), timeout);
  }

  static constexpr absl::Duration kNever = absl::InfiniteDuration();
  // A system that fails to wait must not be asked in a circle.
  static constexpr absl::Duration kErrorPause = absl::Milliseconds(100);

  libusb_context* const context_;
  libusb_hotplug_callback_handle hotplug_ = 0;
  bool has_hotplug_ = false;
  absl::Duration gather_ = kNever;  // the event thread's own
  std::thread thread_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Mutex observer_mutex_;
  std::function<void()> observer_ ABSL_GUARDED_BY(observer_mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<UsbContext>> UsbContext::Create() {
  libusb_context* context = nullptr;
  const int result = libusb_init(&context);
  if (result != LIBUSB_SUCCESS) {
    return errors::MakeError(errors::ErrorCode::kUsbUnavailable,
                             absl::StrCat("libusb cannot start: ", libusb_error_name(result)));
  }
  return std::make_unique<LibusbContext>(context);
}

void UsbContext::SetErrorObserver(ErrorObserver observer) {
  absl::MutexLock lock(&errors_mutex_);
  error_observer_ = std::move(observer);
}

void UsbContext::ReportError(absl::string_view operation, absl::string_view code) {
  absl::MutexLock lock(&errors_mutex_);
  if (error_observer_ != nullptr) error_observer_(operation, code);
}

}  // namespace kiln::ports
