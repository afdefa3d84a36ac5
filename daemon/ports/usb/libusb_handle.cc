#include "daemon/ports/usb/libusb_handle.h"

#include <libusb.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/libusb_errors.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// Adapters answer within milliseconds; libusb ends a request after this long.
constexpr absl::Duration kControlTimeout = absl::Seconds(1);
// How much later the end must have been told. Only a stuck kernel or event thread is later.
constexpr absl::Duration kCompletionGrace = absl::Seconds(5);

// One control transfer in flight. Shared between the thread that waits and the event thread, so
// that it outlives an impatient waiter.
struct ControlTransfer {
  ~ControlTransfer() { libusb_free_transfer(transfer); }

  std::vector<uint8_t> buffer;
  libusb_transfer* transfer = libusb_alloc_transfer(0);
  absl::Mutex mutex;
  bool done ABSL_GUARDED_BY(mutex) = false;
};

void LIBUSB_CALL OnControlDone(libusb_transfer* transfer) {
  // The reference that was kept for libusb.
  const std::unique_ptr<std::shared_ptr<ControlTransfer>> control(
      static_cast<std::shared_ptr<ControlTransfer>*>(transfer->user_data));
  absl::MutexLock lock(&(*control)->mutex);
  (*control)->done = true;
}

class LibusbTransfer final : public UsbTransfer {
 public:
  LibusbTransfer(UsbContext& context, libusb_device_handle* handle, uint8_t endpoint,
                 size_t capacity, UsbDeviceHandle::Done done)
      : context_(context),
        handle_(handle),
        endpoint_(endpoint),
        done_(std::move(done)),
        buffer_(capacity),
        transfer_(libusb_alloc_transfer(0)) {}
  ~LibusbTransfer() override { libusb_free_transfer(transfer_); }

  absl::Span<uint8_t> buffer() override { return absl::MakeSpan(buffer_); }

  absl::Status Submit(size_t length) override {
    // Without a timeout: waiting for bytes is no error, and a cancel ends it.
    libusb_fill_bulk_transfer(transfer_, handle_, endpoint_, buffer_.data(),
                              static_cast<int>(length), &LibusbTransfer::OnDone, this, 0);
    const int result = libusb_submit_transfer(transfer_);
    if (result == LIBUSB_SUCCESS) return absl::OkStatus();
    context_.ReportError(operation(), LibusbErrorCode(result));
    return LibusbError("starting a bulk transfer", result);
  }

  void Cancel() override { libusb_cancel_transfer(transfer_); }

 private:
  static void LIBUSB_CALL OnDone(libusb_transfer* transfer) {
    auto* self = static_cast<LibusbTransfer*>(transfer->user_data);
    const UsbOutcome outcome = OutcomeOf(transfer->status);
    if (outcome != UsbOutcome::kCompleted && outcome != UsbOutcome::kCancelled) {
      self->context_.ReportError(self->operation(), LibusbErrorCode(ErrorOf(transfer->status)));
    }
    self->done_(outcome, static_cast<size_t>(transfer->actual_length));
  }

  absl::string_view operation() const {
    return (endpoint_ & LIBUSB_ENDPOINT_IN) != 0 ? "bulk_in" : "bulk_out";
  }

  UsbContext& context_;
  libusb_device_handle* const handle_;
  const uint8_t endpoint_;
  const UsbDeviceHandle::Done done_;
  std::vector<uint8_t> buffer_;
  libusb_transfer* const transfer_;
};

// libusb's own picture of the bus is made of events, which do not reach every container: a device
// that is not in it is opened by its node alone.
absl::StatusOr<libusb_device_handle*> OpenDevice(UsbContext& context,
                                                 const LibusbHandle::Device& device) {
  libusb_device** list = nullptr;
  const ssize_t count = libusb_get_device_list(context.get(), &list);
  const absl::Cleanup free_list = [list] {
    if (list != nullptr) libusb_free_device_list(list, 1);
  };
  libusb_device_handle* handle = nullptr;
  int result = LIBUSB_ERROR_NOT_FOUND;
  for (ssize_t i = 0; i < count && handle == nullptr; ++i) {
    if (libusb_get_bus_number(list[i]) != device.bus ||
        libusb_get_device_address(list[i]) != device.device_number) {
      continue;
    }
    result = libusb_open(list[i], &handle);
  }
  if (result == LIBUSB_ERROR_NOT_FOUND) {
    result = libusb_wrap_sys_device(context.get(), device.node.get(), &handle);
  }
  if (result == LIBUSB_SUCCESS) return handle;
  const std::string detail =
      absl::StrCat(device.address, ": opening: ", std::string(LibusbErrorCode(result)));
  switch (result) {
    case LIBUSB_ERROR_ACCESS:
      return MakeError(ErrorCode::kPortPermission, detail);
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NOT_FOUND:
      return MakeError(ErrorCode::kBoardNotFound, detail);
    default:
      return MakeError(ErrorCode::kPortFailed, detail);
  }
}

}  // namespace

LibusbHandle::LibusbHandle(UsbContext& context, Device device, libusb_device_handle* handle)
    : context_(context), device_(std::move(device)), handle_(handle) {}

absl::StatusOr<std::unique_ptr<LibusbHandle>> LibusbHandle::Open(
    UsbContext& context, Device device, const std::vector<uint8_t>& interfaces) {
  ASSIGN_OR_RETURN(libusb_device_handle * opened, OpenDevice(context, device));
  std::unique_ptr<LibusbHandle> handle(new LibusbHandle(context, std::move(device), opened));
  // Claiming takes an interface from the kernel's driver, releasing gives it back.
  libusb_set_auto_detach_kernel_driver(opened, 1);
  for (const uint8_t interface : interfaces) {
    const int result = libusb_claim_interface(opened, interface);
    if (result == LIBUSB_SUCCESS) {
      handle->claimed_.push_back(interface);
      continue;
    }
    const std::string detail = absl::StrCat(handle->device_.address, ": claiming interface ",
                                            interface, ": ", std::string(LibusbErrorCode(result)));
    if (result == LIBUSB_ERROR_BUSY) return MakeError(ErrorCode::kPortBusy, detail);
    if (result == LIBUSB_ERROR_NO_DEVICE) return MakeError(ErrorCode::kBoardNotFound, detail);
    return MakeError(ErrorCode::kPortFailed, detail);
  }
  return handle;
}

LibusbHandle::~LibusbHandle() {
  // The last first: Linux' cdc_acm takes both its interfaces when it gets the first of them back,
  // and refuses the device when the second is not free by then.
  for (auto it = claimed_.rbegin(); it != claimed_.rend(); ++it) {
    libusb_release_interface(handle_, *it);
  }
  libusb_close(handle_);
}

absl::Status LibusbHandle::ControlOut(const UsbSetup& setup, absl::Span<const uint8_t> data) {
  return Control(setup, data, static_cast<uint16_t>(data.size())).status();
}

absl::StatusOr<std::vector<uint8_t>> LibusbHandle::ControlIn(const UsbSetup& setup,
                                                             uint16_t length) {
  return Control(setup, {}, length);
}

absl::StatusOr<std::vector<uint8_t>> LibusbHandle::Control(const UsbSetup& setup,
                                                           absl::Span<const uint8_t> data,
                                                           uint16_t length) {
  const bool is_in = (setup.type & LIBUSB_ENDPOINT_IN) != 0;
  constexpr absl::string_view kOperation = "control";
  const std::string what =
      absl::StrCat(device_.address, ": control request 0x", absl::Hex(setup.request));
  // Not libusb's blocking call: it would run the bulk callbacks on this thread.
  const auto control = std::make_shared<ControlTransfer>();
  control->buffer.resize(LIBUSB_CONTROL_SETUP_SIZE + length);
  libusb_fill_control_setup(control->buffer.data(), setup.type, setup.request, setup.value,
                            setup.index, length);
  std::copy(data.begin(), data.end(), control->buffer.begin() + LIBUSB_CONTROL_SETUP_SIZE);
  auto for_libusb = std::make_unique<std::shared_ptr<ControlTransfer>>(control);
  libusb_fill_control_transfer(control->transfer, handle_, control->buffer.data(), OnControlDone,
                               for_libusb.get(),
                               static_cast<unsigned>(absl::ToInt64Milliseconds(kControlTimeout)));
  const int submitted = libusb_submit_transfer(control->transfer);
  if (submitted != LIBUSB_SUCCESS) {
    context_.ReportError(kOperation, LibusbErrorCode(submitted));
    return LibusbError(what, submitted);
  }
  [[maybe_unused]] const auto* given = for_libusb.release();  // OnControlDone's now

  absl::MutexLock lock(&control->mutex);
  if (!control->mutex.AwaitWithTimeout(absl::Condition(&control->done),
                                       kControlTimeout + kCompletionGrace)) {
    context_.ReportError(kOperation, "stuck");
    return MakeError(ErrorCode::kPortFailed, absl::StrCat(what, ": never ended"));
  }
  const int error = ErrorOf(control->transfer->status);
  if (error != LIBUSB_SUCCESS) {
    context_.ReportError(kOperation, LibusbErrorCode(error));
    // The bus has tried three times: as good as always the device was pulled, and its hub, which is
    // asked a few times a second, has yet to notice.
    if (control->transfer->status == LIBUSB_TRANSFER_ERROR) {
      return MakeError(ErrorCode::kBoardUnplugged,
                       absl::StrCat(what, ": does not answer on the bus any more"));
    }
    return LibusbError(what, error);
  }
  const auto begin = control->buffer.begin() + LIBUSB_CONTROL_SETUP_SIZE;
  return std::vector<uint8_t>(begin, begin + (is_in ? control->transfer->actual_length : 0));
}

absl::Status LibusbHandle::ClearHalt(uint8_t endpoint) {
  const int result = libusb_clear_halt(handle_, endpoint);
  if (result == LIBUSB_SUCCESS) return absl::OkStatus();
  context_.ReportError("control", LibusbErrorCode(result));
  return LibusbError(absl::StrCat(device_.address, ": clearing a halt"), result);
}

std::unique_ptr<UsbTransfer> LibusbHandle::MakeBulk(uint8_t endpoint, size_t capacity, Done done) {
  return std::make_unique<LibusbTransfer>(context_, handle_, endpoint, capacity, std::move(done));
}

}  // namespace kiln::ports
