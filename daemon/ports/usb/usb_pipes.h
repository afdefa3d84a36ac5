#ifndef KILN_DAEMON_PORTS_USB_USB_PIPES_H_
#define KILN_DAEMON_PORTS_USB_USB_PIPES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "daemon/ports/usb/arrival_pace.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// The two bulk pipes of an adapter: several transfers in flight each way, so that the bus never
// waits for a thread, and a bounded buffer of what has arrived, which stops the asking when nobody
// reads. Owned by a stream and used by its thread, but for Interrupt; completions come on the event
// thread. Errors and waits as ByteStream says.
class UsbPipes {
 public:
  // All four must outlive the pipes; `driver` unpacks what arrives.
  UsbPipes(UsbDeviceHandle& handle, UsbSerialDriver& driver, const UsbSerialLayout& layout,
           std::string address, base::Clock& clock);
  // Stop must have succeeded, or Start never have been called.
  ~UsbPipes();

  // Begins to ask for bytes.
  absl::Status Start();
  // Ends every transfer and waits for it. False when some did not end: then the pipes and all that
  // they use must never be destroyed, for the kernel may still write into their buffers.
  bool Stop();

  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration deadline);
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration deadline);
  // Waits until the adapter has taken everything that was written.
  absl::Status AwaitSent(absl::Duration deadline);
  // Whether the adapter has yet to take some of what was written.
  bool sending() const;
  // Waits for nothing but an interrupt or the adapter's end; OK once the deadline has passed.
  absl::Status Pause(absl::Duration deadline);
  void Discard();
  void Interrupt();

  // BoardUnplugged once the far end is gone, otherwise OK.
  absl::Status CheckAlive() const;
  // Notes that `status` was met elsewhere, where it says that the far end is gone. Returns it.
  absl::Status Note(const absl::Status& status);

  // Transfers in flight and their size, a multiple of every packet's, so that no packet overflows
  // one. To the host they are small and many, because an adapter ends one with each packet that is
  // not full: with packets of 64 bytes they last 11 ms at 921600 baud. Those from the host last
  // 180 ms: longer than a loaded machine leaves a thread waiting.
  static constexpr size_t kTransfersIn = 16;
  static constexpr size_t kInSize = 1024;
  static constexpr size_t kTransfersOut = 4;
  static constexpr size_t kOutSize = 4096;
  // Buffered bytes at which the asking stops, and begins again.
  static constexpr size_t kHighWater = size_t{64} * 1024;
  static constexpr size_t kLowWater = size_t{32} * 1024;

 private:
  void OnReceived(UsbTransfer& transfer, UsbOutcome outcome, size_t bytes);
  void OnSent(UsbTransfer& transfer, UsbOutcome outcome, size_t bytes);

  size_t buffered() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return received_.size() - taken_;
  }
  // Buffers what a transfer has brought, and has the next ones of a stream told of together.
  void Take(absl::Span<const uint8_t> transfer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Ask(UsbTransfer& transfer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AskAgain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Gone(const std::string& how) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The reason why a wait ends before what it waits for, if there is one; takes interrupts.
  absl::Status TakeInterruption() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // An error that befell bytes already handed over; told once.
  absl::Status TakeWriteError() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes halted endpoints out of their halt. Not under the lock: it asks the device.
  absl::Status ClearHalts();

  UsbDeviceHandle& handle_;
  UsbSerialDriver& driver_;
  const UsbSerialLayout layout_;
  const std::string address_;
  base::Clock& clock_;

  mutable absl::Mutex mutex_;
  std::vector<std::unique_ptr<UsbTransfer>> transfers_;  // made by the constructor
  std::vector<UsbTransfer*> idle_in_ ABSL_GUARDED_BY(mutex_);
  std::vector<UsbTransfer*> idle_out_ ABSL_GUARDED_BY(mutex_);
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;  // of both directions
  int sending_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<uint8_t> received_ ABSL_GUARDED_BY(mutex_);
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;  // of received_, from its beginning
  ArrivalPace pace_ ABSL_GUARDED_BY(mutex_);
  int failed_in_a_row_ ABSL_GUARDED_BY(mutex_) = 0;
  bool in_halted_ ABSL_GUARDED_BY(mutex_) = false;
  bool out_halted_ ABSL_GUARDED_BY(mutex_) = false;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status gone_ ABSL_GUARDED_BY(mutex_);
  bool told_gone_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status write_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_PIPES_H_
