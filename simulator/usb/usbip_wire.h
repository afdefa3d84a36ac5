#ifndef KILN_SIMULATOR_USB_USBIP_WIRE_H_
#define KILN_SIMULATOR_USB_USBIP_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace kiln::simulator {

// The messages of USB/IP after its handshake, as the kernel's Documentation/usb/usbip_protocol.rst
// defines them: every number big-endian, every header 48 bytes.

// A transfer the host starts, or (`unlinks` set) gives up.
struct UsbIpCommand {
  uint32_t sequence = 0;
  // The sequence number of the transfer that is to be given up; everything below is unused then.
  std::optional<uint32_t> unlinks;
  uint8_t endpoint = 0;  // with the direction bit (0x80: to the host); 0 and 0x80 are control
  uint8_t setup[8] = {};
  uint32_t length = 0;        // bytes the host sends or has room for
  std::vector<uint8_t> data;  // what it sends
  bool zero_packet = false;   // a write of whole packets is followed by an empty one
  bool to_host() const { return (endpoint & 0x80) != 0; }
};

// Cuts the host's bytes into commands. The peer is a kernel, but its lengths are checked all the
// same. One stream, one thread.
class UsbIpDecoder {
 public:
  static constexpr size_t kHeaderSize = 48;
  // The largest transfer Kiln's hosts make is 16 KiB; usbfs allows 16 MiB in all. A longer one is
  // refused.
  static constexpr uint32_t kMaxTransfer = 1 << 20;

  void Append(absl::Span<const uint8_t> bytes);
  // The next complete command; nothing until more bytes come. INVALID_ARGUMENT for what no host
  // sends: the connection is of no use after that.
  absl::StatusOr<std::optional<UsbIpCommand>> Next();

 private:
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0;  // of what has not been taken
};

// The end of transfer `sequence`: `status` is 0 or a negative errno value. `actual` counts the
// bytes moved; for reads they follow as `data`, for writes `data` is empty.
std::vector<uint8_t> EncodeUsbIpSubmitAnswer(uint32_t sequence, int32_t status, uint32_t actual,
                                             absl::Span<const uint8_t> data);
// The answer to an unlink: `status` is -ECONNRESET when the transfer was still waiting (and gets no
// answer of its own), 0 when it has been answered before.
std::vector<uint8_t> EncodeUsbIpUnlinkAnswer(uint32_t sequence, int32_t status);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_USBIP_WIRE_H_
