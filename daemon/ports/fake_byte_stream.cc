#include "daemon/ports/fake_byte_stream.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

void FakeWire::QueueRead(std::vector<uint8_t> bytes) {
  absl::MutexLock lock(&mutex_);
  script_.emplace_back(std::move(bytes));
}

void FakeWire::QueueReadError(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  script_.emplace_back(std::move(status));
}

void FakeWire::QueueSilence() {
  absl::MutexLock lock(&mutex_);
  script_.emplace_back(std::nullopt);
}

void FakeWire::Arrive(absl::Span<const uint8_t> bytes) {
  absl::MutexLock lock(&mutex_);
  arrived_.insert(arrived_.end(), bytes.begin(), bytes.end());
}

void FakeWire::SetResponder(Responder responder) {
  absl::MutexLock lock(&mutex_);
  responder_ = std::move(responder);
}

void FakeWire::Unplug() {
  absl::MutexLock lock(&mutex_);
  present_ = false;
  arrived_.clear();
}

void FakeWire::Replug() {
  absl::MutexLock lock(&mutex_);
  present_ = true;
  ++incarnation_;
}

void FakeWire::FailCall(Call::Kind kind, int skip, absl::Status status) {
  absl::MutexLock lock(&mutex_);
  injections_.push_back({kind, skip, std::move(status)});
}

void FakeWire::UnplugAfterBytesWritten(size_t bytes) {
  absl::MutexLock lock(&mutex_);
  bytes_until_unplug_ = bytes;
}

void FakeWire::set_traits(const LinkTraits& traits) {
  absl::MutexLock lock(&mutex_);
  traits_ = traits;
}

std::vector<FakeWire::Call> FakeWire::calls() const {
  absl::MutexLock lock(&mutex_);
  return calls_;
}

std::vector<uint8_t> FakeWire::written() const {
  absl::MutexLock lock(&mutex_);
  std::vector<uint8_t> all;
  for (const Call& call : calls_) all.insert(all.end(), call.bytes.begin(), call.bytes.end());
  return all;
}

std::vector<uint32_t> FakeWire::bauds() const {
  absl::MutexLock lock(&mutex_);
  std::vector<uint32_t> all;
  for (const Call& call : calls_) {
    if (call.kind == Call::Kind::kSetBaudRate) all.push_back(call.baud);
  }
  return all;
}

std::vector<std::pair<bool, bool>> FakeWire::lines() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::pair<bool, bool>> all;
  for (const Call& call : calls_) {
    if (call.kind == Call::Kind::kSetLines) all.emplace_back(call.dtr, call.rts);
  }
  return all;
}

bool FakeWire::script_is_empty() const {
  absl::MutexLock lock(&mutex_);
  return script_.empty();
}

void FakeWire::ForgetCalls() {
  absl::MutexLock lock(&mutex_);
  calls_.clear();
}

int FakeWire::open_streams() const {
  absl::MutexLock lock(&mutex_);
  return open_streams_;
}

absl::Status FakeWire::Record(Call call) {
  if (clock_ != nullptr) call.time = clock_->Monotonic();
  const Call::Kind kind = call.kind;
  calls_.push_back(std::move(call));
  for (auto it = injections_.begin(); it != injections_.end(); ++it) {
    if (it->kind != kind) continue;
    if (it->skip-- > 0) continue;
    absl::Status status = std::move(it->status);
    injections_.erase(it);
    return status;
  }
  return absl::OkStatus();
}

FakeByteStream::FakeByteStream(FakeWire& wire) : wire_(wire) {
  absl::MutexLock lock(&wire_.mutex_);
  incarnation_ = wire_.incarnation_;
  ++wire_.open_streams_;
}

FakeByteStream::~FakeByteStream() {
  absl::MutexLock lock(&wire_.mutex_);
  --wire_.open_streams_;
}

absl::Status FakeByteStream::CheckUsable() {
  if (wire_.present_ && wire_.incarnation_ == incarnation_) return absl::OkStatus();
  return MakeError(ErrorCode::kBoardUnplugged, "the fake board was unplugged");
}

absl::Status FakeByteStream::CheckInterrupted() {
  if (!std::exchange(interrupted_, false)) return absl::OkStatus();
  return absl::CancelledError("interrupted");
}

LinkTraits FakeByteStream::traits() const {
  absl::MutexLock lock(&wire_.mutex_);
  return wire_.traits_;
}

absl::StatusOr<size_t> FakeByteStream::Read(absl::Span<uint8_t> buffer, absl::Duration timeout) {
  {
    absl::MutexLock lock(&wire_.mutex_);
    RETURN_IF_ERROR(CheckUsable());
    RETURN_IF_ERROR(CheckInterrupted());
    if (buffer.empty()) return absl::InvalidArgumentError("the buffer is empty");
    if (wire_.arrived_.empty() && !wire_.script_.empty()) {
      auto entry = std::move(wire_.script_.front());
      wire_.script_.pop_front();
      if (entry.has_value()) {
        RETURN_IF_ERROR(entry->status());
        wire_.arrived_.assign((*entry)->begin(), (*entry)->end());
      }
    }
    if (!wire_.arrived_.empty()) {
      const size_t count = std::min(buffer.size(), wire_.arrived_.size());
      const auto end = wire_.arrived_.begin() + static_cast<std::ptrdiff_t>(count);
      std::copy(wire_.arrived_.begin(), end, buffer.begin());
      wire_.arrived_.erase(wire_.arrived_.begin(), end);
      return count;
    }
  }
  if (wire_.clock_ != nullptr) wire_.clock_->Sleep(timeout);
  return absl::DeadlineExceededError(
      absl::StrCat("nothing arrived within ", absl::FormatDuration(timeout)));
}

absl::Status FakeByteStream::Write(absl::Span<const uint8_t> bytes, absl::Duration) {
  FakeWire::Responder responder;
  {
    absl::MutexLock lock(&wire_.mutex_);
    RETURN_IF_ERROR(CheckUsable());
    RETURN_IF_ERROR(CheckInterrupted());
    RETURN_IF_ERROR(wire_.Record(
        {.kind = FakeWire::Call::Kind::kWrite, .bytes = {bytes.begin(), bytes.end()}}));
    if (wire_.bytes_until_unplug_.has_value()) {
      if (bytes.size() >= *wire_.bytes_until_unplug_) {
        wire_.bytes_until_unplug_.reset();
        wire_.present_ = false;
        return CheckUsable();
      }
      *wire_.bytes_until_unplug_ -= bytes.size();
    }
    responder = wire_.responder_;
  }
  // Without the lock: a responder may use the wire.
  if (responder) wire_.Arrive(responder(bytes));
  return absl::OkStatus();
}

absl::Status FakeByteStream::Drain(absl::Duration) {
  absl::MutexLock lock(&wire_.mutex_);
  RETURN_IF_ERROR(CheckUsable());
  RETURN_IF_ERROR(CheckInterrupted());
  return wire_.Record({.kind = FakeWire::Call::Kind::kDrain});
}

absl::Status FakeByteStream::DiscardInput() {
  absl::MutexLock lock(&wire_.mutex_);
  RETURN_IF_ERROR(CheckUsable());
  RETURN_IF_ERROR(wire_.Record({.kind = FakeWire::Call::Kind::kDiscardInput}));
  wire_.arrived_.clear();
  return absl::OkStatus();
}

absl::Status FakeByteStream::SetBaudRate(uint32_t baud) {
  absl::MutexLock lock(&wire_.mutex_);
  RETURN_IF_ERROR(CheckUsable());
  return wire_.Record({.kind = FakeWire::Call::Kind::kSetBaudRate, .baud = baud});
}

absl::Status FakeByteStream::SetLines(bool dtr, bool rts) {
  absl::MutexLock lock(&wire_.mutex_);
  RETURN_IF_ERROR(CheckUsable());
  return wire_.Record({.kind = FakeWire::Call::Kind::kSetLines, .dtr = dtr, .rts = rts});
}

void FakeByteStream::Interrupt() {
  absl::MutexLock lock(&wire_.mutex_);
  interrupted_ = true;
}

absl::StatusOr<std::unique_ptr<ByteStream>> FakeStreamOpener::Open() {
  {
    absl::MutexLock lock(&mutex_);
    if (!failures_.empty()) {
      absl::Status status = std::move(failures_.front());
      failures_.pop_front();
      return status;
    }
  }
  {
    absl::MutexLock lock(&wire_.mutex_);
    if (!wire_.present_) {
      return MakeError(ErrorCode::kBoardNotFound, absl::StrCat(address_, ": nothing is there"));
    }
    if (wire_.open_streams_ > 0) {
      return MakeError(ErrorCode::kPortBusy, absl::StrCat(address_, " is open already"));
    }
  }
  return std::make_unique<FakeByteStream>(wire_);
}

bool FakeStreamOpener::Present() {
  absl::MutexLock lock(&wire_.mutex_);
  return wire_.present_;
}

std::string FakeStreamOpener::Instance() {
  absl::MutexLock lock(&wire_.mutex_);
  return absl::StrCat(wire_.incarnation_);
}

void FakeStreamOpener::FailOpen(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  failures_.push_back(std::move(status));
}

}  // namespace kiln::ports
