#include "simulator/usb/serial_port.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

constexpr size_t kKeptLineRequests = 64;
// What may wait for a host that asks: more than any loader sends at once.
constexpr size_t kMaxWaiting = size_t{1024} * 1024;
// An adapter's transmit buffer holds some hundred bytes: at 921600 baud 640 of them (CP2102N's
// data sheet: 512 and some) last about 7 ms.
constexpr absl::Duration kSendBuffer = absl::Milliseconds(7);
constexpr size_t kSendBufferBytes = 640;

}  // namespace

SerialPort::SerialPort(std::unique_ptr<SerialPeer> peer, size_t receive_buffer)
    : peer_(std::move(peer)), receive_buffer_(receive_buffer) {}

void SerialPort::PowerOn(absl::Duration now) {
  peer_->PowerOn(now);
  ForgetSettings(now);
}

void SerialPort::PowerOff() {
  peer_->PowerOff();
  received_.clear();
  unsent_.clear();
  listening_ = false;
}

void SerialPort::ForgetSettings(absl::Duration now) {
  const bool lines = state_.dtr || state_.rts;
  state_ = SerialState();
  state_.enabled = true;
  received_.clear();
  listening_ = false;
  refused_ = owes_end_ = held_back_ = false;
  unsent_.clear();
  if (lines) peer_->SetLines(now, false, false);
}

void SerialPort::SetEnabled(bool enabled) {
  state_.enabled = enabled;
  if (!enabled) received_.clear();
}

void SerialPort::SetBaudRate(uint32_t baud) {
  ++state_.baud_requests;
  state_.baud_rate = baud;
  peer_->SetHostBaudRate(baud);
}

void SerialPort::SetFrame(uint8_t data_bits, char parity, uint8_t stop_half_bits) {
  state_.data_bits = data_bits;
  state_.parity = parity;
  state_.stop_half_bits = stop_half_bits;
}

void SerialPort::SetLines(absl::Duration now, std::optional<bool> dtr, std::optional<bool> rts) {
  LineRequest request = {.dtr = dtr.value_or(state_.dtr), .rts = rts.value_or(state_.rts)};
  request.changed = (request.dtr != state_.dtr ? 1 : 0) + (request.rts != state_.rts ? 1 : 0);
  state_.dtr = request.dtr;
  state_.rts = request.rts;
  ++state_.line_requests;
  state_.last_line_requests.push_back(request);
  if (state_.last_line_requests.size() > kKeptLineRequests) state_.last_line_requests.pop_front();
  peer_->SetLines(now, request.dtr, request.rts);
}

void SerialPort::SetHeldBack(absl::Duration now, bool held_back) {
  held_back_ = held_back;
  if (held_back_ || unsent_.empty()) return;
  peer_->Receive(now, unsent_);
  unsent_.clear();
}

void SerialPort::PurgeInput(absl::Duration now) {
  Advance(now);
  received_.clear();
}

bool SerialPort::CanTake(absl::Duration now) {
  refused_ =
      held_back_ ? unsent_.size() >= kSendBufferBytes : peer_->ReceiveDone() > now + kSendBuffer;
  return !refused_;
}

void SerialPort::FromHost(absl::Duration now, absl::Span<const uint8_t> bytes) {
  state_.bytes_from_host += bytes.size();
  if (!state_.enabled || bytes.empty()) return;
  if (held_back_) {
    unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
  } else {
    peer_->Receive(now, bytes);
  }
}

size_t SerialPort::Waiting(absl::Duration now) {
  Advance(now);
  return received_.size();
}

std::vector<uint8_t> SerialPort::ToHost(absl::Duration now, size_t limit) {
  const size_t size = std::min(limit, Waiting(now));
  const auto end = received_.begin() + static_cast<std::ptrdiff_t>(size);
  std::vector<uint8_t> bytes(received_.begin(), end);
  received_.erase(received_.begin(), end);
  state_.bytes_to_host += size;
  return bytes;
}

std::optional<std::vector<uint8_t>> SerialPort::NextPacket(absl::Duration now, size_t max_packet) {
  std::vector<uint8_t> packet = ToHost(now, max_packet);
  if (packet.empty() && !owes_end_) return std::nullopt;
  owes_end_ = packet.size() == max_packet;
  return packet;
}

void SerialPort::SetListening(absl::Duration now, bool listening) {
  Advance(now);
  listening_ = listening;
  if (!listening) owes_end_ = false;
}

void SerialPort::Advance(absl::Duration now) {
  peer_->Advance(now);
  if (refused_) CanTake(now);
  const size_t room = !state_.enabled ? 0 : listening_ ? kMaxWaiting : receive_buffer_;
  uint8_t bytes[1024];
  for (size_t size; (size = peer_->TakeOutput(now, absl::MakeSpan(bytes))) > 0;) {
    const size_t kept = std::min(size, room > received_.size() ? room - received_.size() : 0);
    received_.insert(received_.end(), bytes, bytes + kept);
    state_.lost_bytes += size - kept;
  }
}

std::optional<absl::Duration> SerialPort::NextEvent() const {
  std::optional<absl::Duration> next = peer_->NextEvent();
  if (refused_ && !held_back_) {
    const absl::Duration room = peer_->ReceiveDone() - kSendBuffer;
    next = std::min(next.value_or(room), room);
  }
  return next;
}

}  // namespace kiln::simulator
