#ifndef KILN_SIMULATOR_USB_USB_TRANSFER_QUEUE_H_
#define KILN_SIMULATOR_USB_USB_TRANSFER_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// One transfer, as a driver hands it to the host controller.
struct UsbTransfer {
  uint64_t id = 0;            // the front's own name for it
  uint8_t endpoint = 0;       // with the direction bit; 0 is a control transfer
  UsbSetup setup;             // of a control transfer
  std::vector<uint8_t> data;  // for the device
  size_t length = 0;          // room for what the device sends
  bool zero_packet = false;   // a write of whole packets is followed by an empty one
};

// How a transfer ended. `status` is 0 or a negative errno, as Linux gives it to drivers: -EPIPE the
// device stalled, -EOVERFLOW it sent more than there was room for, -ENOENT no such endpoint.
struct UsbCompletion {
  uint64_t id = 0;
  int status = 0;
  size_t actual = 0;          // bytes moved
  std::vector<uint8_t> data;  // from the device
};

// What a host controller does, for a front: cuts transfers into packets for a device model and puts
// packets together to transfers. Single-threaded; owned by a front, one per plugged device.
class UsbTransferQueue {
 public:
  // `model` must outlive it.
  explicit UsbTransferQueue(UsbDeviceModel& model) : model_(model) {}

  // Control transfers are complete at once; others when the device has taken or given what it
  // should. Transfers of one endpoint end in the order of their submission.
  void Submit(absl::Duration now, UsbTransfer transfer);
  // Takes a pending transfer back; its completion carries `status` and what had moved by then.
  // False when it is not pending (any more).
  bool Cancel(absl::Duration now, uint64_t id, int status);
  // Takes all back, and tells the device that nobody listens: the host has closed it.
  void CancelAll(absl::Duration now, int status);
  // The device's plug is out, and its hub has not noticed yet: every transfer ends with -EPROTO,
  // for the bus tries in vain.
  void CutOff(absl::Duration now);

  // Lets everything happen that is due by `now`; NextEvent says when to call it again.
  void Advance(absl::Duration now);
  std::optional<absl::Duration> NextEvent() const { return model_.NextEvent(); }

  bool HasCompleted() const { return !completed_.empty(); }
  // The oldest completion that was not taken yet; nothing when there is none.
  std::optional<UsbCompletion> TakeCompleted();

 private:
  struct Pending {
    UsbTransfer transfer;
    UsbCompletion result;
  };

  void Complete(Pending pending, int status);
  void Pump(absl::Duration now);
  // Moves packets of the first transfer of a queue; true when that transfer is finished.
  bool MoveToDevice(absl::Duration now, Pending& pending);
  bool MoveToHost(absl::Duration now, Pending& pending);

  UsbDeviceModel& model_;
  std::map<uint8_t, std::deque<Pending>> pending_;  // by endpoint
  std::deque<UsbCompletion> completed_;
  bool cut_off_ = false;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_USB_TRANSFER_QUEUE_H_
