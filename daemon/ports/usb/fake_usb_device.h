#ifndef KILN_DAEMON_PORTS_USB_FAKE_USB_DEVICE_H_
#define KILN_DAEMON_PORTS_USB_FAKE_USB_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// The far end of fake USB handles, owned by a test and outliving them: what the device answers,
// what it was sent, what goes wrong. Completions come on a thread of its own, as libusb's do.
// Thread-safe.
class FakeUsbDevice {
 public:
  struct ControlCall {
    UsbSetup setup;
    std::vector<uint8_t> sent;  // the data of a request to the device
    uint16_t asked = 0;         // the length of a request to the host

    friend bool operator==(const ControlCall&, const ControlCall&) = default;
  };

  FakeUsbDevice();
  ~FakeUsbDevice();

  std::unique_ptr<UsbDeviceHandle> Open();

  // ---- What the device does ----
  // The answer to a request to the host, from now on; without one, and for requests in
  // `RefuseRequest`, it stalls.
  void Answer(uint8_t request, std::vector<uint8_t> bytes);
  void RefuseRequest(uint8_t request);
  // One IN transfer's worth of bytes, as packets bring them.
  void Arrive(std::vector<uint8_t> transfer);
  // The next IN transfer ends so.
  void FailIn(UsbOutcome outcome);
  // The next OUT transfer ends so; its bytes are lost.
  void FailOut(UsbOutcome outcome);
  // While held, the device takes no bytes.
  void HoldOut(bool held);
  void Unplug();

  // ---- What it has seen ----
  std::vector<ControlCall> control_calls() const;
  void ForgetControlCalls();
  std::vector<uint8_t> written() const;
  int halts_cleared() const;
  // How long the callbacks let pass before the next ones, the longest of all; zero: they never did.
  absl::Duration longest_gathering() const;
  size_t in_transfers_waiting() const;
  size_t out_transfers_waiting() const;
  // Waits (10 s of real time at most) until `condition`, which may ask this device nothing, holds.
  bool AwaitInTransfers(size_t count) const;
  bool AwaitArrivalsTaken() const;

 private:
  class Handle;
  class Transfer;

  struct Pending {
    Transfer* transfer;
    size_t length;
  };
  struct Ending {
    UsbOutcome outcome;
    std::vector<uint8_t> bytes;
  };

  absl::Status Submit(Transfer* transfer, bool is_in, size_t length);
  void Cancel(Transfer* transfer);
  void RunCompletions();
  // Moves what can end now into completions_.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const Pending& pending, UsbOutcome outcome, size_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<uint8_t, std::vector<uint8_t>> answers_ ABSL_GUARDED_BY(mutex_);
  std::set<uint8_t> refused_ ABSL_GUARDED_BY(mutex_);
  std::deque<Ending> arrivals_ ABSL_GUARDED_BY(mutex_);
  std::deque<UsbOutcome> out_failures_ ABSL_GUARDED_BY(mutex_);
  std::deque<Pending> in_ ABSL_GUARDED_BY(mutex_);
  std::deque<Pending> out_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::function<void()>> completions_ ABSL_GUARDED_BY(mutex_);
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool present_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<ControlCall> calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint8_t> written_ ABSL_GUARDED_BY(mutex_);
  int halts_cleared_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration longest_gathering_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_FAKE_USB_DEVICE_H_
