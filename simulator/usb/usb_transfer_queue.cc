#include "simulator/usb/usb_transfer_queue.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

bool ToHost(uint8_t endpoint) { return (endpoint & 0x80) != 0; }

}  // namespace

void UsbTransferQueue::Submit(absl::Duration now, UsbTransfer transfer) {
  Pending pending{std::move(transfer), {}};
  const UsbTransfer& asked = pending.transfer;
  pending.result.id = asked.id;
  if (cut_off_) return Complete(std::move(pending), -EPROTO);
  if (asked.endpoint == 0) {
    std::optional<std::vector<uint8_t>> answer = model_.Control(now, asked.setup, asked.data);
    if (!answer.has_value()) return Complete(std::move(pending), -EPIPE);
    pending.result.actual = asked.setup.to_host() ? answer->size() : asked.data.size();
    pending.result.data = *std::move(answer);
    Complete(std::move(pending), 0);
    return Pump(now);
  }
  if (model_.MaxPacket(asked.endpoint) == 0) return Complete(std::move(pending), -ENOENT);
  const uint8_t endpoint = asked.endpoint;
  pending_[endpoint].push_back(std::move(pending));
  if (ToHost(endpoint)) model_.SetListening(now, endpoint, true);
  Pump(now);
}

bool UsbTransferQueue::Cancel(absl::Duration now, uint64_t id, int status) {
  for (auto& [endpoint, queue] : pending_) {
    const auto found = std::find_if(queue.begin(), queue.end(), [id](const Pending& pending) {
      return pending.transfer.id == id;
    });
    if (found == queue.end()) continue;
    Pending pending = std::move(*found);
    queue.erase(found);
    Complete(std::move(pending), status);
    if (queue.empty() && ToHost(endpoint)) model_.SetListening(now, endpoint, false);
    Pump(now);
    return true;
  }
  return false;
}

void UsbTransferQueue::CancelAll(absl::Duration now, int status) {
  for (auto& [endpoint, queue] : pending_) {
    for (Pending& pending : queue) Complete(std::move(pending), status);
    queue.clear();
    if (ToHost(endpoint)) model_.SetListening(now, endpoint, false);
  }
}

void UsbTransferQueue::CutOff(absl::Duration now) {
  cut_off_ = true;
  CancelAll(now, -EPROTO);
}

void UsbTransferQueue::Advance(absl::Duration now) {
  model_.Advance(now);
  Pump(now);
}

std::optional<UsbCompletion> UsbTransferQueue::TakeCompleted() {
  if (completed_.empty()) return std::nullopt;
  UsbCompletion first = std::move(completed_.front());
  completed_.pop_front();
  return first;
}

void UsbTransferQueue::Complete(Pending pending, int status) {
  pending.result.status = status;
  completed_.push_back(std::move(pending.result));
}

void UsbTransferQueue::Pump(absl::Duration now) {
  // What the host sends may make the device answer, so the writes come first: their endpoints'
  // addresses are the lower ones.
  for (auto& [endpoint, queue] : pending_) {
    while (!queue.empty()) {
      Pending& first = queue.front();
      if (!(ToHost(endpoint) ? MoveToHost(now, first) : MoveToDevice(now, first))) break;
      Pending finished = std::move(first);
      queue.pop_front();
      const int status = finished.result.status;
      Complete(std::move(finished), status);
    }
  }
}

bool UsbTransferQueue::MoveToDevice(absl::Duration now, Pending& pending) {
  const size_t max_packet = model_.MaxPacket(pending.transfer.endpoint);
  const absl::Span<const uint8_t> data = absl::MakeConstSpan(pending.transfer.data);
  size_t& sent = pending.result.actual;
  bool first = data.empty();  // a transfer without bytes is one empty packet
  while (sent < data.size() || first) {
    const absl::Span<const uint8_t> packet = data.subspan(sent, max_packet);
    if (!model_.TakePacket(now, pending.transfer.endpoint, packet)) return false;
    sent += packet.size();
    first = false;
  }
  if (pending.transfer.zero_packet && !data.empty() && data.size() % max_packet == 0) {
    pending.transfer.zero_packet = !model_.TakePacket(now, pending.transfer.endpoint, {});
    return !pending.transfer.zero_packet;
  }
  return true;
}

bool UsbTransferQueue::MoveToHost(absl::Duration now, Pending& pending) {
  const size_t max_packet = model_.MaxPacket(pending.transfer.endpoint);
  std::vector<uint8_t>& data = pending.result.data;
  while (true) {
    const std::optional<std::vector<uint8_t>> packet =
        model_.GivePacket(now, pending.transfer.endpoint);
    if (!packet.has_value()) return false;
    const size_t room = pending.transfer.length - data.size();
    const size_t kept = std::min(room, packet->size());
    data.insert(data.end(), packet->begin(), packet->begin() + static_cast<std::ptrdiff_t>(kept));
    pending.result.actual = data.size();
    if (packet->size() > room) pending.result.status = -EOVERFLOW;
    if (packet->size() > room || packet->size() < max_packet ||
        data.size() == pending.transfer.length) {
      return true;
    }
  }
}

}  // namespace kiln::simulator
