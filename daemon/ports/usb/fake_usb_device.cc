#include "daemon/ports/usb/fake_usb_device.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

absl::Status Unplugged() {
  return errors::MakeError(errors::ErrorCode::kBoardUnplugged, "fake device: no_device");
}

absl::Status Stalled() {
  return errors::MakeError(errors::ErrorCode::kPortFailed, "fake device: stalled");
}

}  // namespace

class FakeUsbDevice::Transfer final : public UsbTransfer {
 public:
  Transfer(FakeUsbDevice& device, bool is_in, size_t capacity, UsbDeviceHandle::Done done)
      : device_(device), is_in_(is_in), buffer_(capacity), done_(std::move(done)) {}

  absl::Span<uint8_t> buffer() override { return absl::MakeSpan(buffer_); }
  absl::Status Submit(size_t length) override { return device_.Submit(this, is_in_, length); }
  void Cancel() override { device_.Cancel(this); }
  void Done(UsbOutcome outcome, size_t bytes) { done_(outcome, bytes); }

 private:
  FakeUsbDevice& device_;
  const bool is_in_;
  std::vector<uint8_t> buffer_;
  const UsbDeviceHandle::Done done_;
};

class FakeUsbDevice::Handle final : public UsbDeviceHandle {
 public:
  explicit Handle(FakeUsbDevice& device) : device_(device) {}

  absl::Status ControlOut(const UsbSetup& setup, absl::Span<const uint8_t> data) override {
    absl::MutexLock lock(&device_.mutex_);
    if (!device_.present_) return Unplugged();
    device_.calls_.push_back({.setup = setup, .sent = {data.begin(), data.end()}});
    return device_.refused_.count(setup.request) == 0 ? absl::OkStatus() : Stalled();
  }

  absl::StatusOr<std::vector<uint8_t>> ControlIn(const UsbSetup& setup, uint16_t length) override {
    absl::MutexLock lock(&device_.mutex_);
    if (!device_.present_) return Unplugged();
    device_.calls_.push_back({.setup = setup, .sent = {}, .asked = length});
    const auto answer = device_.answers_.find(setup.request);
    if (answer == device_.answers_.end() || device_.refused_.count(setup.request) > 0) {
      return Stalled();
    }
    std::vector<uint8_t> bytes = answer->second;
    bytes.resize(std::min<size_t>(bytes.size(), length));
    return bytes;
  }

  absl::Status ClearHalt(uint8_t /*endpoint*/) override {
    absl::MutexLock lock(&device_.mutex_);
    if (!device_.present_) return Unplugged();
    ++device_.halts_cleared_;
    return absl::OkStatus();
  }

  void Gather(absl::Duration time) override {
    absl::MutexLock lock(&device_.mutex_);
    device_.longest_gathering_ = std::max(device_.longest_gathering_, time);
  }

  std::unique_ptr<UsbTransfer> MakeBulk(uint8_t endpoint, size_t capacity, Done done) override {
    return std::make_unique<Transfer>(device_, (endpoint & 0x80) != 0, capacity, std::move(done));
  }

 private:
  FakeUsbDevice& device_;
};

FakeUsbDevice::FakeUsbDevice() : thread_([this] { RunCompletions(); }) {}

FakeUsbDevice::~FakeUsbDevice() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

std::unique_ptr<UsbDeviceHandle> FakeUsbDevice::Open() { return std::make_unique<Handle>(*this); }

void FakeUsbDevice::Answer(uint8_t request, std::vector<uint8_t> bytes) {
  absl::MutexLock lock(&mutex_);
  answers_[request] = std::move(bytes);
}

void FakeUsbDevice::RefuseRequest(uint8_t request) {
  absl::MutexLock lock(&mutex_);
  refused_.insert(request);
}

void FakeUsbDevice::Arrive(std::vector<uint8_t> transfer) {
  absl::MutexLock lock(&mutex_);
  arrivals_.push_back({.outcome = UsbOutcome::kCompleted, .bytes = std::move(transfer)});
  Pump();
}

void FakeUsbDevice::FailIn(UsbOutcome outcome) {
  absl::MutexLock lock(&mutex_);
  arrivals_.push_back({.outcome = outcome, .bytes = {}});
  Pump();
}

void FakeUsbDevice::FailOut(UsbOutcome outcome) {
  absl::MutexLock lock(&mutex_);
  out_failures_.push_back(outcome);
}

void FakeUsbDevice::HoldOut(bool held) {
  absl::MutexLock lock(&mutex_);
  held_ = held;
  Pump();
}

void FakeUsbDevice::Unplug() {
  absl::MutexLock lock(&mutex_);
  present_ = false;
  Pump();
}

std::vector<FakeUsbDevice::ControlCall> FakeUsbDevice::control_calls() const {
  absl::MutexLock lock(&mutex_);
  return calls_;
}

void FakeUsbDevice::ForgetControlCalls() {
  absl::MutexLock lock(&mutex_);
  calls_.clear();
}

std::vector<uint8_t> FakeUsbDevice::written() const {
  absl::MutexLock lock(&mutex_);
  return written_;
}

int FakeUsbDevice::halts_cleared() const {
  absl::MutexLock lock(&mutex_);
  return halts_cleared_;
}

absl::Duration FakeUsbDevice::longest_gathering() const {
  absl::MutexLock lock(&mutex_);
  return longest_gathering_;
}

size_t FakeUsbDevice::in_transfers_waiting() const {
  absl::MutexLock lock(&mutex_);
  return in_.size();
}

size_t FakeUsbDevice::out_transfers_waiting() const {
  absl::MutexLock lock(&mutex_);
  return out_.size();
}

bool FakeUsbDevice::AwaitInTransfers(size_t count) const {
  absl::MutexLock lock(&mutex_);
  const auto reached = [this, count]()
                           ABSL_NO_THREAD_SAFETY_ANALYSIS { return in_.size() == count; };
  return mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
}

bool FakeUsbDevice::AwaitArrivalsTaken() const {
  absl::MutexLock lock(&mutex_);
  const auto reached = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return arrivals_.empty() && completions_.empty();
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
}

absl::Status FakeUsbDevice::Submit(Transfer* transfer, bool is_in, size_t length) {
  absl::MutexLock lock(&mutex_);
  if (!present_) return Unplugged();
  (is_in ? in_ : out_).push_back({transfer, length});
  Pump();
  return absl::OkStatus();
}

void FakeUsbDevice::Cancel(Transfer* transfer) {
  absl::MutexLock lock(&mutex_);
  for (auto* queue : {&in_, &out_}) {
    const auto found = std::find_if(queue->begin(), queue->end(), [transfer](const Pending& p) {
      return p.transfer == transfer;
    });
    if (found == queue->end()) continue;
    End(*found, UsbOutcome::kCancelled, 0);
    queue->erase(found);
    return;
  }
}

void FakeUsbDevice::Pump() {
  while (!in_.empty() && (!present_ || !arrivals_.empty())) {
    const Pending pending = in_.front();
    in_.pop_front();
    if (!present_) {
      End(pending, UsbOutcome::kGone, 0);
      continue;
    }
    const Ending arrival = std::move(arrivals_.front());
    arrivals_.pop_front();
    const size_t count = std::min(pending.length, arrival.bytes.size());
    std::copy_n(arrival.bytes.begin(), count, pending.transfer->buffer().begin());
    End(pending, arrival.outcome, count);
  }
  while (!out_.empty() && (!present_ || !held_)) {
    const Pending pending = out_.front();
    out_.pop_front();
    if (!present_) {
      End(pending, UsbOutcome::kGone, 0);
    } else if (!out_failures_.empty()) {
      End(pending, out_failures_.front(), 0);
      out_failures_.pop_front();
    } else {
      const auto bytes = pending.transfer->buffer().first(pending.length);
      written_.insert(written_.end(), bytes.begin(), bytes.end());
      End(pending, UsbOutcome::kCompleted, pending.length);
    }
  }
}

void FakeUsbDevice::End(const Pending& pending, UsbOutcome outcome, size_t bytes) {
  completions_.emplace_back(
      [transfer = pending.transfer, outcome, bytes] { transfer->Done(outcome, bytes); });
}

void FakeUsbDevice::RunCompletions() {
  const auto something = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return stopping_ || !completions_.empty();
  };
  for (;;) {
    std::function<void()> completion;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&something));
      if (completions_.empty()) return;
      completion = completions_.front();
    }
    completion();
    absl::MutexLock lock(&mutex_);
    completions_.pop_front();
  }
}

}  // namespace kiln::ports
