#ifndef KILN_DAEMON_PORTS_USB_USB_DEVICE_HANDLE_H_
#define KILN_DAEMON_PORTS_USB_USB_DEVICE_HANDLE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::ports {

// The first eight bytes of a control transfer, but for the length (USB 2.0, table 9-2).
struct UsbSetup {
  uint8_t type;  // bmRequestType
  uint8_t request;
  uint16_t value;
  uint16_t index;

  friend bool operator==(const UsbSetup&, const UsbSetup&) = default;
};

// How a bulk transfer ended.
enum class UsbOutcome {
  kCompleted,
  kCancelled,
  kStalled,  // the endpoint is halted until ClearHalt
  kFailed,   // the bus reported an error; one to the host may be tried again
  kGone,     // the device is no longer there
};

// One bulk transfer with a buffer of its own, started again and again. At most once in flight; must
// not be in flight when destroyed. Used by one thread at a time, the event thread among them.
class UsbTransfer {
 public:
  virtual ~UsbTransfer() = default;

  virtual absl::Span<uint8_t> buffer() = 0;
  // Starts with the first `length` bytes of the buffer (to send, or to fill). When it returns OK,
  // its callback comes exactly once, on the event thread, never within this call. BoardUnplugged,
  // PortFailed.
  virtual absl::Status Submit(size_t length) = 0;
  // Asks a transfer in flight to end; its callback still comes.
  virtual void Cancel() = 0;
};

// An open USB device whose serial interface is claimed: what the drivers need of libusb. Owned by a
// stream. Control requests block and come from the stream's one thread, never from the event
// thread.
class UsbDeviceHandle {
 public:
  // Called on the event thread with no lock held; gets the number of bytes moved.
  using Done = std::function<void(UsbOutcome outcome, size_t bytes)>;

  // All transfers must be destroyed before.
  virtual ~UsbDeviceHandle() = default;

  // BoardUnplugged when the device is gone, or the bus fails to reach it; PortFailed when it
  // refuses, or is silent for a second.
  virtual absl::Status ControlOut(const UsbSetup& setup, absl::Span<const uint8_t> data) = 0;
  // The bytes the device answers, at most `length`. Errors as ControlOut.
  virtual absl::StatusOr<std::vector<uint8_t>> ControlIn(const UsbSetup& setup,
                                                         uint16_t length) = 0;
  // Takes an endpoint out of its halt. Errors as ControlOut.
  virtual absl::Status ClearHalt(uint8_t endpoint) = 0;

  // To be called within a callback: more transfers are about to end, and nobody is in a hurry for
  // them. The event thread may let `time` pass and then tell of all of them at once.
  virtual void Gather(absl::Duration time) = 0;

  // A transfer on the bulk endpoint with this address (bit 7 set: to the host).
  virtual std::unique_ptr<UsbTransfer> MakeBulk(uint8_t endpoint, size_t capacity, Done done) = 0;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_DEVICE_HANDLE_H_
