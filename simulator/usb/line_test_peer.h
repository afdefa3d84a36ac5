#ifndef KILN_SIMULATOR_USB_LINE_TEST_PEER_H_
#define KILN_SIMULATOR_USB_LINE_TEST_PEER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/serial_peer.h"

namespace kiln::simulator {

// The bytes of a line test: both ends know them, and neither a lost nor a repeated byte goes unseen
// for long.
inline uint8_t LineTestByte(uint64_t index) {
  return static_cast<uint8_t>(index * 167 + (index >> 8) * 59 + (index >> 16));
}

// A board that tests the line instead of running a loader, to measure adapters and their drivers.
// It obeys lines of text, one at a time:
//
//   take N    checks the N bytes that follow and answers "right\n", or "wrong\n", as the last of
//             them has come over the wire
//   send N    sends N bytes
//
// The wire always takes its time, ten bits a byte at the adapter's rate. Threads as SerialPeer.
class LineTestPeer final : public BoardPeer {
 public:
  using BoardPeer::BoardPeer;

  void PowerOn(absl::Duration now) override;
  void PowerOff() override;
  void SetHostBaudRate(uint32_t baud) override { baud_ = baud; }
  void SetLines(absl::Duration, bool, bool) override {}
  void Receive(absl::Duration now, absl::Span<const uint8_t> bytes) override;
  absl::Duration ReceiveDone() const override { return received_at_; }
  void Advance(absl::Duration) override {}
  std::optional<absl::Duration> NextEvent() const override;
  size_t TakeOutput(absl::Duration now, absl::Span<uint8_t> out) override;

 private:
  // What is being sent: text, or where that is empty, the test's bytes.
  struct Output {
    absl::Duration begin;
    uint64_t size = 0;
    uint64_t taken = 0;
    std::string text;
  };

  void TakeByte(absl::Duration at, uint8_t byte);
  void Obey(absl::Duration at, absl::string_view command);
  absl::Duration ByteTime() const;

  uint32_t baud_ = 0;
  absl::Duration received_at_;  // when the last byte has come over the wire
  std::string command_;
  uint64_t awaited_ = 0;  // of "take"; 0: a command comes next
  uint64_t checked_ = 0;
  bool wrong_ = false;
  Output output_;
  absl::Duration given_at_ = -absl::InfiniteDuration();  // the last portion of it
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_LINE_TEST_PEER_H_
