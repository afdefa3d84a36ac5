#include "simulator/usb/serial_peer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::simulator {

BoardPeer::BoardPeer(const BoardConfig& config) : board_(config, absl::ZeroDuration()) {
  board_.PowerOff();
}

void BoardPeer::Receive(absl::Duration now, absl::Span<const uint8_t> bytes) {
  board_.Receive(now, bytes);
}

size_t BoardPeer::TakeOutput(absl::Duration now, absl::Span<uint8_t> out) {
  return board_.TakeOutput(now, out);
}

void LoopbackPeer::PowerOn(absl::Duration) { bytes_.clear(); }

void LoopbackPeer::Receive(absl::Duration, absl::Span<const uint8_t> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

size_t LoopbackPeer::TakeOutput(absl::Duration, absl::Span<uint8_t> out) {
  const size_t size = std::min(out.size(), bytes_.size());
  const auto end = bytes_.begin() + static_cast<std::ptrdiff_t>(size);
  std::copy(bytes_.begin(), end, out.begin());
  bytes_.erase(bytes_.begin(), end);
  return size;
}

}  // namespace kiln::simulator
