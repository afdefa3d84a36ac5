#include "simulator/slip.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

// RFC 1055.
constexpr uint8_t kEnd = 0xC0;
constexpr uint8_t kEsc = 0xDB;
constexpr uint8_t kEscEnd = 0xDC;
constexpr uint8_t kEscEsc = 0xDD;

}  // namespace

std::vector<uint8_t> SlipEncode(absl::Span<const uint8_t> payload) {
  std::vector<uint8_t> out;
  out.reserve(payload.size() + payload.size() / 64 + 2);
  out.push_back(kEnd);
  for (const uint8_t byte : payload) {
    if (byte == kEnd || byte == kEsc) {
      out.push_back(kEsc);
      out.push_back(byte == kEnd ? kEscEnd : kEscEsc);
    } else {
      out.push_back(byte);
    }
  }
  out.push_back(kEnd);
  return out;
}

std::optional<std::vector<uint8_t>> SlipDecoder::Add(uint8_t byte) {
  if (byte == kEnd) {
    const bool complete = state_ == State::kInside && !frame_.empty();
    // A delimiter ends one frame and may begin the next.
    state_ = complete ? State::kOutside : State::kInside;
    std::vector<uint8_t> frame = std::exchange(frame_, {});
    if (complete) return frame;
    return std::nullopt;
  }
  switch (state_) {
    case State::kOutside:
    case State::kBroken:
      return std::nullopt;
    case State::kEscape:
      if (byte != kEscEnd && byte != kEscEsc) {
        state_ = State::kBroken;
        frame_.clear();
        return std::nullopt;
      }
      byte = byte == kEscEnd ? kEnd : kEsc;
      state_ = State::kInside;
      break;
    case State::kInside:
      if (byte == kEsc) {
        state_ = State::kEscape;
        return std::nullopt;
      }
      break;
  }
  if (frame_.size() >= max_frame_) {
    state_ = State::kBroken;
    frame_.clear();
    return std::nullopt;
  }
  frame_.push_back(byte);
  return std::nullopt;
}

void SlipDecoder::Reset() {
  state_ = State::kOutside;
  frame_.clear();
}

}  // namespace kiln::simulator
