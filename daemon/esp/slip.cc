#include "daemon/esp/slip.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"

namespace kiln::esp {

void SlipEncoder::Begin() {
  frame_.clear();
  frame_.push_back(kSlipEnd);
}

void SlipEncoder::Append(absl::Span<const uint8_t> bytes) {
  const uint8_t* run = bytes.data();
  const uint8_t* const end = bytes.data() + bytes.size();
  while (run != end) {
    const uint8_t* special = std::find_if(
        run, end, [](uint8_t byte) { return byte == kSlipEnd || byte == kSlipEscape; });
    frame_.insert(frame_.end(), run, special);
    if (special == end) return;
    frame_.push_back(kSlipEscape);
    frame_.push_back(*special == kSlipEnd ? kSlipEscapedEnd : kSlipEscapedEscape);
    run = special + 1;
  }
}

void SlipEncoder::End() { frame_.push_back(kSlipEnd); }

std::optional<absl::Span<const uint8_t>> SlipDecoder::Next(absl::Span<const uint8_t>& input) {
  if (delivered_) Reset();
  while (!input.empty()) {
    uint8_t byte = input.front();
    input.remove_prefix(1);
    if (byte == kSlipEnd) {
      if (damaged_ || escaped_) {
        ++dropped_frames_;
        Reset();
        continue;
      }
      if (frame_.empty()) continue;
      delivered_ = true;
      return absl::MakeConstSpan(frame_);
    }
    if (damaged_) continue;
    if (escaped_) {
      escaped_ = false;
      if (byte == kSlipEscapedEnd) {
        byte = kSlipEnd;
      } else if (byte == kSlipEscapedEscape) {
        byte = kSlipEscape;
      } else {
        damaged_ = true;
        continue;
      }
    } else if (byte == kSlipEscape) {
      escaped_ = true;
      continue;
    }
    if (frame_.size() == max_frame_bytes_) {
      damaged_ = true;
      continue;
    }
    frame_.push_back(byte);
  }
  return std::nullopt;
}

void SlipDecoder::Reset() {
  frame_.clear();
  escaped_ = false;
  damaged_ = false;
  delivered_ = false;
}

}  // namespace kiln::esp
