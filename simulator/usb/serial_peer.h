#ifndef KILN_SIMULATOR_USB_SERIAL_PEER_H_
#define KILN_SIMULATOR_USB_SERIAL_PEER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/simulated_board.h"

namespace kiln::simulator {

// What hangs at the UART of a serial adapter. Single-threaded; its owner tells it the time with
// every call, never going back.
class SerialPeer {
 public:
  virtual ~SerialPeer() = default;

  virtual void PowerOn(absl::Duration now) = 0;
  virtual void PowerOff() = 0;
  // The rate of the adapter's UART; 0 when there is no UART between.
  virtual void SetHostBaudRate(uint32_t baud) = 0;
  // True is asserted, which is low.
  virtual void SetLines(absl::Duration now, bool dtr, bool rts) = 0;
  virtual void Receive(absl::Duration now, absl::Span<const uint8_t> bytes) = 0;
  // When the last byte received so far has left the adapter; the past when none is on its way.
  virtual absl::Duration ReceiveDone() const = 0;
  virtual void Advance(absl::Duration now) = 0;
  virtual std::optional<absl::Duration> NextEvent() const = 0;
  virtual size_t TakeOutput(absl::Duration now, absl::Span<uint8_t> out) = 0;
  // Whether a fault asks for the device to be pulled; true once.
  virtual bool TakeUnplugRequest() { return false; }
  // Null when the peer is no board.
  virtual SimulatedBoard* board() { return nullptr; }
};

// A board behind the usual auto-reset circuit.
class BoardPeer : public SerialPeer {
 public:
  explicit BoardPeer(const BoardConfig& config);

  void PowerOn(absl::Duration now) override { board_.PowerOn(now); }
  void PowerOff() override { board_.PowerOff(); }
  void SetHostBaudRate(uint32_t baud) override { board_.SetHostBaudRate(baud); }
  void SetLines(absl::Duration now, bool dtr, bool rts) override { board_.SetLines(now, dtr, rts); }
  void Receive(absl::Duration now, absl::Span<const uint8_t> bytes) override;
  absl::Duration ReceiveDone() const override { return board_.ReceiveDone(); }
  void Advance(absl::Duration now) override { board_.Advance(now); }
  std::optional<absl::Duration> NextEvent() const override { return board_.NextEvent(); }
  size_t TakeOutput(absl::Duration now, absl::Span<uint8_t> out) override;
  bool TakeUnplugRequest() override { return board_.TakeUnplugRequest(); }
  SimulatedBoard* board() override { return &board_; }

 private:
  SimulatedBoard board_;
};

// Transmit and receive joined by a wire.
class LoopbackPeer : public SerialPeer {
 public:
  void PowerOn(absl::Duration now) override;
  void PowerOff() override { bytes_.clear(); }
  void SetHostBaudRate(uint32_t) override {}
  void SetLines(absl::Duration, bool, bool) override {}
  void Receive(absl::Duration now, absl::Span<const uint8_t> bytes) override;
  absl::Duration ReceiveDone() const override { return absl::ZeroDuration(); }
  void Advance(absl::Duration) override {}
  std::optional<absl::Duration> NextEvent() const override { return std::nullopt; }
  size_t TakeOutput(absl::Duration now, absl::Span<uint8_t> out) override;

 private:
  std::deque<uint8_t> bytes_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_SERIAL_PEER_H_
