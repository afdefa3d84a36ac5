#include "daemon/ports/usb/usb_pipes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// The longest that bytes of a stream wait to be taken together. Answers to other boards may wait
// with them, which costs them 2 % of a block's time at 921600 baud.
constexpr absl::Duration kLongestGathering = absl::Milliseconds(4);

// The bus tries every packet three times by itself. A device that fails this many transfers in a
// row is gone, whatever the hub has noticed so far.
constexpr int kMaxFailedInARow = 3;

// A cancelled transfer ends within a frame or two; only a stuck kernel takes longer.
constexpr absl::Duration kStopTimeout = absl::Seconds(5);

}  // namespace

UsbPipes::UsbPipes(UsbDeviceHandle& handle, UsbSerialDriver& driver, const UsbSerialLayout& layout,
                   std::string address, base::Clock& clock)
    : handle_(handle),
      driver_(driver),
      layout_(layout),
      address_(std::move(address)),
      clock_(clock),
      pace_(clock.Monotonic()) {
  transfers_.reserve(kTransfersIn + kTransfersOut);
  for (size_t i = 0; i < kTransfersIn; ++i) {
    auto& in = transfers_.emplace_back();
    in = handle_.MakeBulk(
        layout_.in.address, kInSize,
        [this, &in](UsbOutcome outcome, size_t bytes) { OnReceived(*in, outcome, bytes); });
    idle_in_.push_back(in.get());
  }
  for (size_t i = 0; i < kTransfersOut; ++i) {
    auto& out = transfers_.emplace_back();
    out = handle_.MakeBulk(
        layout_.out.address, kOutSize,
        [this, &out](UsbOutcome outcome, size_t bytes) { OnSent(*out, outcome, bytes); });
    idle_out_.push_back(out.get());
  }
  received_.reserve(kHighWater + kTransfersIn * kInSize);
}

UsbPipes::~UsbPipes() = default;

absl::Status UsbPipes::Start() {
  absl::MutexLock lock(&mutex_);
  AskAgain();
  return gone_;
}

bool UsbPipes::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (const auto& transfer : transfers_) transfer->Cancel();
  return clock_.AwaitCondition(
      &mutex_, [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return in_flight_ == 0; }, kStopTimeout);
}

absl::StatusOr<size_t> UsbPipes::Read(absl::Span<uint8_t> buffer, absl::Duration deadline) {
  if (buffer.empty()) return absl::InvalidArgumentError("the buffer is empty");
  for (;;) {
    RETURN_IF_ERROR(ClearHalts());
    absl::MutexLock lock(&mutex_);
    const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return buffered() > 0 || !gone_.ok() || interrupted_ || in_halted_;
    };
    const bool in_time = clock_.AwaitCondition(&mutex_, ready, deadline - clock_.Monotonic());
    // What came before the end is still given, unless the end was told already.
    if (interrupted_ || told_gone_ || buffered() == 0) {
      RETURN_IF_ERROR(TakeInterruption());
    }
    if (buffered() > 0) {
      const size_t count = std::min(buffer.size(), buffered());
      std::copy_n(received_.begin() + static_cast<std::ptrdiff_t>(taken_), count, buffer.begin());
      taken_ += count;
      if (taken_ == received_.size()) {
        received_.clear();
        taken_ = 0;
      }
      AskAgain();
      return count;
    }
    if (!in_time) return absl::DeadlineExceededError(absl::StrCat(address_, ": timed out"));
  }
}

absl::Status UsbPipes::Write(absl::Span<const uint8_t> bytes, absl::Duration deadline) {
  while (!bytes.empty()) {
    RETURN_IF_ERROR(ClearHalts());
    absl::MutexLock lock(&mutex_);
    const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return !idle_out_.empty() || !gone_.ok() || interrupted_ || !write_error_.ok();
    };
    const bool in_time = clock_.AwaitCondition(&mutex_, ready, deadline - clock_.Monotonic());
    RETURN_IF_ERROR(TakeInterruption());
    RETURN_IF_ERROR(TakeWriteError());
    if (!in_time) return absl::DeadlineExceededError(absl::StrCat(address_, ": timed out"));
    UsbTransfer* transfer = idle_out_.back();
    const size_t count = std::min(bytes.size(), transfer->buffer().size());
    std::copy_n(bytes.begin(), count, transfer->buffer().begin());
    if (absl::Status started = transfer->Submit(count); !started.ok()) {
      if (errors::Is(started, ErrorCode::kBoardUnplugged)) Gone("unplugged");
      RETURN_IF_ERROR(TakeInterruption());
      return started;
    }
    idle_out_.pop_back();
    ++in_flight_;
    ++sending_;
    pace_.Asked();
    bytes.remove_prefix(count);
  }
  return absl::OkStatus();
}

absl::Status UsbPipes::AwaitSent(absl::Duration deadline) {
  RETURN_IF_ERROR(ClearHalts());
  absl::MutexLock lock(&mutex_);
  const auto ready = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return sending_ == 0 || !gone_.ok() || interrupted_ || !write_error_.ok();
  };
  const bool in_time = clock_.AwaitCondition(&mutex_, ready, deadline - clock_.Monotonic());
  RETURN_IF_ERROR(TakeInterruption());
  RETURN_IF_ERROR(TakeWriteError());
  if (!in_time) return absl::DeadlineExceededError(absl::StrCat(address_, ": timed out"));
  return absl::OkStatus();
}

bool UsbPipes::sending() const {
  absl::MutexLock lock(&mutex_);
  return sending_ > 0;
}

absl::Status UsbPipes::Pause(absl::Duration deadline) {
  absl::MutexLock lock(&mutex_);
  const auto ready = [this]()
                         ABSL_NO_THREAD_SAFETY_ANALYSIS { return !gone_.ok() || interrupted_; };
  clock_.AwaitCondition(&mutex_, ready, deadline - clock_.Monotonic());
  return TakeInterruption();
}

void UsbPipes::Discard() {
  absl::MutexLock lock(&mutex_);
  received_.clear();
  taken_ = 0;
  AskAgain();
}

void UsbPipes::Interrupt() {
  absl::MutexLock lock(&mutex_);
  interrupted_ = true;
}

absl::Status UsbPipes::CheckAlive() const {
  absl::MutexLock lock(&mutex_);
  return gone_;
}

absl::Status UsbPipes::Note(const absl::Status& status) {
  if (!errors::Is(status, ErrorCode::kBoardUnplugged)) return status;
  absl::MutexLock lock(&mutex_);
  Gone("unplugged");
  return TakeInterruption();
}

void UsbPipes::OnReceived(UsbTransfer& transfer, UsbOutcome outcome, size_t bytes) {
  absl::MutexLock lock(&mutex_);
  --in_flight_;
  idle_in_.push_back(&transfer);
  switch (outcome) {
    case UsbOutcome::kCompleted:
      failed_in_a_row_ = 0;
      Take(transfer.buffer().first(bytes));
      break;
    case UsbOutcome::kCancelled:
      return;
    case UsbOutcome::kStalled:
      // Others that were waiting come back with the same halt.
      if (std::exchange(in_halted_, true)) break;
      [[fallthrough]];
    case UsbOutcome::kFailed:
      if (++failed_in_a_row_ >= kMaxFailedInARow) Gone("does not answer on the bus any more");
      break;
    case UsbOutcome::kGone:
      Gone("unplugged");
      break;
  }
  if (stopping_ || !gone_.ok() || in_halted_ || buffered() >= kHighWater) return;
  idle_in_.pop_back();
  Ask(transfer);
}

void UsbPipes::OnSent(UsbTransfer& transfer, UsbOutcome outcome, size_t /*bytes*/) {
  absl::MutexLock lock(&mutex_);
  --in_flight_;
  --sending_;
  idle_out_.push_back(&transfer);
  switch (outcome) {
    case UsbOutcome::kCompleted:
    case UsbOutcome::kCancelled:
      break;
    case UsbOutcome::kStalled:
      out_halted_ = true;
      write_error_ = MakeError(ErrorCode::kPortFailed, absl::StrCat(address_, ": refused bytes"));
      break;
    case UsbOutcome::kFailed:
      // Some may have arrived, so that these cannot be sent again. Mostly the device was pulled,
      // and its hub has yet to notice.
      Gone("does not answer on the bus any more");
      break;
    case UsbOutcome::kGone:
      Gone("unplugged");
      break;
  }
}

void UsbPipes::Take(absl::Span<const uint8_t> transfer) {
  if (taken_ >= kLowWater) {
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
  }
  const size_t before = received_.size();
  driver_.Unpack(transfer, received_);
  if (received_.size() == before) return;
  const absl::Duration between = pace_.ArrivedAt(clock_.Monotonic());
  if (between == absl::InfiniteDuration()) return;
  // The adapter must find a transfer waiting all the time: half of them may end meanwhile.
  handle_.Gather(std::min(kLongestGathering, between * (kTransfersIn / 2)));
}

void UsbPipes::Ask(UsbTransfer& transfer) {
  const absl::Status started = transfer.Submit(transfer.buffer().size());
  if (started.ok()) {
    ++in_flight_;
    return;
  }
  idle_in_.push_back(&transfer);
  // A device that cannot even be asked is lost, whatever the reason.
  Gone(std::string(started.message()));
}

void UsbPipes::AskAgain() {
  if (stopping_ || !gone_.ok() || in_halted_ || buffered() > kLowWater) return;
  std::vector<UsbTransfer*> idle;
  idle.swap(idle_in_);
  for (UsbTransfer* transfer : idle) {
    if (gone_.ok()) {
      Ask(*transfer);
    } else {
      idle_in_.push_back(transfer);
    }
  }
}

void UsbPipes::Gone(const std::string& how) {
  if (!gone_.ok()) return;
  gone_ = MakeError(ErrorCode::kBoardUnplugged, absl::StrCat(address_, ": ", how));
}

absl::Status UsbPipes::TakeInterruption() {
  if (!gone_.ok()) {
    told_gone_ = true;
    return gone_;
  }
  if (!std::exchange(interrupted_, false)) return absl::OkStatus();
  return absl::CancelledError(absl::StrCat(address_, ": interrupted"));
}

absl::Status UsbPipes::TakeWriteError() { return std::exchange(write_error_, absl::OkStatus()); }

absl::Status UsbPipes::ClearHalts() {
  bool in = false;
  bool out = false;
  {
    absl::MutexLock lock(&mutex_);
    in = in_halted_;
    out = out_halted_;
  }
  if (in) {
    RETURN_IF_ERROR(Note(handle_.ClearHalt(layout_.in.address)));
  }
  if (out) {
    RETURN_IF_ERROR(Note(handle_.ClearHalt(layout_.out.address)));
  }
  if (!in && !out) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  if (in) in_halted_ = false;
  if (out) out_halted_ = false;
  AskAgain();
  return absl::OkStatus();
}

}  // namespace kiln::ports
