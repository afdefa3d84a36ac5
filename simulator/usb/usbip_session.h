#ifndef KILN_SIMULATOR_USB_USBIP_SESSION_H_
#define KILN_SIMULATOR_USB_USBIP_SESSION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/usb_device_model.h"
#include "simulator/usb/usb_transfer_queue.h"
#include "simulator/usb/usbip_wire.h"

namespace kiln::simulator {

// One plugging-in of a device model at a host that speaks USB/IP: bytes of the host go in, bytes
// for the host come out. Knows no socket. Owned by a front, made anew for each plugging-in; one
// thread.
class UsbIpSession {
 public:
  // `model` must outlive it and is plugged in.
  explicit UsbIpSession(UsbDeviceModel& model) : queue_(model) {}

  // INVALID_ARGUMENT when the host has said what no host says; the session is over then.
  absl::Status FromHost(absl::Duration now, absl::Span<const uint8_t> bytes);
  // Lets everything happen that is due by `now`.
  void Advance(absl::Duration now);
  std::optional<absl::Duration> NextEvent() const { return queue_.NextEvent(); }

  // What waits to be sent to the host; who sends it takes it out from the front.
  std::vector<uint8_t>& output() { return output_; }

 private:
  void Submit(absl::Duration now, UsbIpCommand command);
  void Unlink(absl::Duration now, const UsbIpCommand& command);
  void AnswerCompleted();
  void Answer(const std::vector<uint8_t>& message);

  UsbIpDecoder decoder_;
  UsbTransferQueue queue_;
  std::vector<uint8_t> output_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_USBIP_SESSION_H_
