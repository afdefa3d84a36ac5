#ifndef KILN_SIMULATOR_SLIP_H_
#define KILN_SIMULATOR_SLIP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace kiln::simulator {

// SLIP framing (RFC 1055) as the chips' loaders use it: C0 before and after each frame. Written
// apart from the engine's, so that one mistake cannot hide behind another.
std::vector<uint8_t> SlipEncode(absl::Span<const uint8_t> payload);

// Collects the frames of a stream of bytes. Bytes outside frames are dropped; a frame longer than
// the limit or with a wrong escape is dropped up to the next delimiter, as the receivers do.
class SlipDecoder {
 public:
  explicit SlipDecoder(size_t max_frame) : max_frame_(max_frame) {}

  // The payload once `byte` has completed a frame; empty frames do not count.
  std::optional<std::vector<uint8_t>> Add(uint8_t byte);
  void Reset();

 private:
  enum class State { kOutside, kInside, kEscape, kBroken };
  size_t max_frame_;
  State state_ = State::kOutside;
  std::vector<uint8_t> frame_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_SLIP_H_
