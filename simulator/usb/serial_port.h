#ifndef KILN_SIMULATOR_USB_SERIAL_PORT_H_
#define KILN_SIMULATOR_USB_SERIAL_PORT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/serial_peer.h"

namespace kiln::simulator {

// A request of the host that set modem lines, as it left them.
struct LineRequest {
  bool dtr = false;
  bool rts = false;
  int changed = 0;  // how many of the two changed with it
};

// How the host has set up one serial port, decoded from its requests; for assertions.
struct SerialState {
  bool enabled = false;  // CP210x: the UART is on; others: always
  uint32_t baud_rate =
      0;  // what the divisors make, in bits per second; 0 before the host has set any
  uint8_t data_bits = 8;
  char parity = 'N';           // N, O, E, M, S
  uint8_t stop_half_bits = 2;  // 2 is one stop bit
  bool dtr = false;
  bool rts = false;
  uint8_t latency_ms = 0;  // FTDI's latency timer; others: 0
  uint64_t baud_requests = 0;
  uint64_t line_requests = 0;
  std::deque<LineRequest> last_line_requests;  // the newest 64, oldest first
  uint64_t purges = 0;
  uint64_t bytes_from_host = 0;
  uint64_t bytes_to_host = 0;
  uint64_t lost_bytes = 0;  // said by the board while nobody took them
};

// One UART of an adapter, between the endpoints of a device model and what hangs at the wire.
// Owned by its model.
class SerialPort {
 public:
  // `receive_buffer`: how many bytes from the board the adapter keeps while the host does not ask.
  SerialPort(std::unique_ptr<SerialPeer> peer, size_t receive_buffer);

  void PowerOn(absl::Duration now);
  void PowerOff();
  // To the state right after power-up; the peer runs on and sees its lines released.
  void ForgetSettings(absl::Duration now);

  void SetEnabled(bool enabled);
  void SetBaudRate(uint32_t baud);
  void SetFrame(uint8_t data_bits, char parity, uint8_t stop_half_bits);
  void SetLatency(uint8_t milliseconds) { state_.latency_ms = milliseconds; }
  // One request that sets one line or both.
  void SetLines(absl::Duration now, std::optional<bool> dtr, std::optional<bool> rts);
  // Whether flow control keeps what the host sends in the adapter's buffer.
  void SetHeldBack(absl::Duration now, bool held_back);
  void PurgeInput(absl::Duration now);
  // Throws away what is held back.
  void PurgeOutput() { unsent_.clear(); }
  void NotePurge() { ++state_.purges; }

  // Whether there is room for another packet from the host.
  bool CanTake(absl::Duration now);
  void FromHost(absl::Duration now, absl::Span<const uint8_t> bytes);
  // How many bytes wait for the host.
  size_t Waiting(absl::Duration now);
  std::vector<uint8_t> ToHost(absl::Duration now, size_t limit);
  // What the adapter puts on the bus when the host asks, where it adds nothing of its own: what
  // waits, or the empty packet that ends a series of full ones. Nothing: it has none.
  std::optional<std::vector<uint8_t>> NextPacket(absl::Duration now, size_t max_packet);
  // Whether everything the host sent has left the adapter.
  bool SendIdle(absl::Duration now) const { return unsent_.empty() && peer_->ReceiveDone() <= now; }
  void SetListening(absl::Duration now, bool listening);
  bool listening() const { return listening_; }

  void Advance(absl::Duration now);
  std::optional<absl::Duration> NextEvent() const;

  const SerialState& state() const { return state_; }
  SerialPeer& peer() { return *peer_; }

 private:
  const std::unique_ptr<SerialPeer> peer_;
  const size_t receive_buffer_;
  SerialState state_;
  std::deque<uint8_t> received_;
  bool held_back_ = false;
  std::vector<uint8_t> unsent_;  // what is held back
  bool listening_ = false;
  bool refused_ = false;   // the host waits for room
  bool owes_end_ = false;  // the last packet was full
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_SERIAL_PORT_H_
