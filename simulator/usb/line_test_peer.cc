#include "simulator/usb/line_test_peer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

constexpr size_t kMaxCommand = 32;
// Bytes are given in portions of a full packet, or after this long fewer: a frame of the bus, and
// the shortest that FTDI's latency timer can be set to. How other adapters gather, their makers do
// not say; one that handed over every byte alone would cost its host a wake-up for each.
constexpr absl::Duration kFrame = absl::Milliseconds(1);
constexpr uint64_t kPacket = 64;

}  // namespace

void LineTestPeer::PowerOn(absl::Duration now) {
  BoardPeer::PowerOn(now);
  received_at_ = now;
  command_.clear();
  awaited_ = checked_ = 0;
  output_ = {};
  given_at_ = -absl::InfiniteDuration();
}

void LineTestPeer::PowerOff() {
  BoardPeer::PowerOff();
  output_ = {};
}

void LineTestPeer::Receive(absl::Duration now, absl::Span<const uint8_t> bytes) {
  const absl::Duration byte_time = ByteTime();
  received_at_ = std::max(received_at_, now);
  for (const uint8_t byte : bytes) {
    received_at_ += byte_time;
    TakeByte(received_at_, byte);
  }
}

void LineTestPeer::TakeByte(absl::Duration at, uint8_t byte) {
  if (awaited_ > 0) {
    if (byte != LineTestByte(checked_++)) wrong_ = true;
    if (checked_ < awaited_) return;
    const std::string answer = wrong_ ? "wrong\n" : "right\n";
    output_ = {.begin = at, .size = answer.size(), .text = answer};
    awaited_ = 0;
    return;
  }
  if (byte != '\n') {
    if (command_.size() < kMaxCommand) command_.push_back(static_cast<char>(byte));
    return;
  }
  Obey(at, std::exchange(command_, {}));
}

void LineTestPeer::Obey(absl::Duration at, absl::string_view command) {
  const std::pair<absl::string_view, absl::string_view> words =
      absl::StrSplit(command, absl::MaxSplits(' ', 1));
  uint64_t size = 0;
  if (!absl::SimpleAtoi(words.second, &size) || size == 0) return;
  if (words.first == "send") output_ = {.begin = at, .size = size};
  if (words.first != "take") return;
  awaited_ = size;
  checked_ = 0;
  wrong_ = false;
}

std::optional<absl::Duration> LineTestPeer::NextEvent() const {
  if (output_.taken == output_.size) return std::nullopt;
  const absl::Duration byte_time = ByteTime();
  const absl::Duration first = output_.begin + byte_time * static_cast<double>(output_.taken + 1);
  const uint64_t full = std::min(output_.size, output_.taken + kPacket);
  return std::min(output_.begin + byte_time * static_cast<double>(full),
                  std::max(first, given_at_) + kFrame);
}

size_t LineTestPeer::TakeOutput(absl::Duration now, absl::Span<uint8_t> out) {
  if (now < output_.begin) return 0;
  uint64_t due = output_.size;
  if (const absl::Duration byte_time = ByteTime(); byte_time > absl::ZeroDuration()) {
    due = std::min(due, static_cast<uint64_t>(absl::FDivDuration(now - output_.begin, byte_time)));
  }
  if (due < output_.size && now < given_at_ + kFrame) {
    due = output_.taken + (due - output_.taken) / kPacket * kPacket;
  }
  if (due > output_.taken) given_at_ = now;
  size_t taken = 0;
  for (; taken < out.size() && output_.taken < due; ++taken, ++output_.taken) {
    out[taken] = output_.text.empty() ? LineTestByte(output_.taken)
                                      : static_cast<uint8_t>(output_.text[output_.taken]);
  }
  return taken;
}

absl::Duration LineTestPeer::ByteTime() const {
  return baud_ == 0 ? absl::ZeroDuration() : absl::Seconds(10.0 / baud_);
}

}  // namespace kiln::simulator
