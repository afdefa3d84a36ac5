#ifndef KILN_DAEMON_ESP_SLIP_H_
#define KILN_DAEMON_ESP_SLIP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace kiln::esp {

// SLIP framing (RFC 1055) as the ROM and stub loaders use it: 0xC0 delimits, 0xDB 0xDC stands for
// 0xC0 and 0xDB 0xDD for 0xDB. Every frame is sent with a delimiter on both sides.
inline constexpr uint8_t kSlipEnd = 0xC0;
inline constexpr uint8_t kSlipEscape = 0xDB;
inline constexpr uint8_t kSlipEscapedEnd = 0xDC;
inline constexpr uint8_t kSlipEscapedEscape = 0xDD;

// Builds one frame at a time in a buffer that keeps its capacity, so that framing a block costs no
// allocation after the first. One thread at a time.
class SlipEncoder {
 public:
  void Begin();
  void Append(absl::Span<const uint8_t> bytes);
  void End();
  // The finished frame; valid until the next Begin.
  absl::Span<const uint8_t> frame() const { return frame_; }

 private:
  std::vector<uint8_t> frame_;
};

// Takes frames out of a stream of bytes as they arrive. Whatever stands between two delimiters is
// one candidate frame; empty ones are skipped, those with a malformed escape or more than
// `max_frame_bytes` are dropped, so that after noise the next delimiter finds the rhythm again.
// Holds at most `max_frame_bytes`. One thread at a time.
class SlipDecoder {
 public:
  explicit SlipDecoder(size_t max_frame_bytes) : max_frame_bytes_(max_frame_bytes) {}

  // Removes from the front of `input` what belongs to the next frame. Returns the frame, valid
  // until the next call, or nothing once `input` is used up.
  std::optional<absl::Span<const uint8_t>> Next(absl::Span<const uint8_t>& input);

  // Forgets a frame that was begun.
  void Reset();

  // Candidate frames dropped so far.
  size_t dropped_frames() const { return dropped_frames_; }

 private:
  const size_t max_frame_bytes_;
  std::vector<uint8_t> frame_;
  bool escaped_ = false;
  bool damaged_ = false;
  bool delivered_ = false;  // frame_ was handed out and is cleared at the next call
  size_t dropped_frames_ = 0;
};

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_SLIP_H_
