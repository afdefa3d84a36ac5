#include "simulator/write_session.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/flash_memory.h"
#include "simulator/loader.h"

namespace kiln::simulator {
namespace {

constexpr uint32_t kSector = FlashMemory::kSectorSize;
constexpr uint32_t kBlock64 = FlashMemory::kBlock64Size;

uint32_t RoundUpToSector(uint32_t value) { return (value + kSector - 1) / kSector * kSector; }

}  // namespace

WriteSession::WriteSession(LoaderPort& port, Erase erase, bool deflated, uint32_t offset,
                           uint32_t size)
    : port_(port),
      erase_(erase),
      deflated_(deflated),
      position_(offset),
      remaining_(size),
      end_(offset + size),
      erased_to_(offset / kSector * kSector),
      check_blank_(erase == Erase::kAsNeeded) {
  if (deflated) {
    inflater_ = std::make_unique<z_stream>();
    *inflater_ = {};
    if (inflateInit(inflater_.get()) != Z_OK) inflater_.reset();
  }
  if (erase_ == Erase::kUpFront) EraseUpTo(end_);
}

WriteSession::~WriteSession() {
  if (inflater_ != nullptr) inflateEnd(inflater_.get());
}

WriteSession::Outcome WriteSession::Write(absl::Span<const uint8_t> data) {
  if (!deflated_) {
    if (remaining_ == 0 && !data.empty()) return Outcome::kTooMuch;
    return Program(data.subspan(0, std::min<size_t>(data.size(), remaining_)));
  }
  if (inflater_ == nullptr) return Outcome::kInflateFailed;
  if (stream_ended_) return data.empty() ? Outcome::kOk : Outcome::kTooMuch;
  // Inflated and programmed in pieces of the size of the chips' window.
  std::vector<uint8_t> window(size_t{32} * 1024);
  inflater_->next_in = const_cast<uint8_t*>(data.data());
  inflater_->avail_in = static_cast<uInt>(data.size());
  do {
    inflater_->next_out = window.data();
    inflater_->avail_out = static_cast<uInt>(window.size());
    const int result = inflate(inflater_.get(), Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return Outcome::kInflateFailed;
    }
    const size_t produced = window.size() - inflater_->avail_out;
    if (produced > remaining_) return Outcome::kTooMuch;
    const Outcome outcome = Program(absl::MakeConstSpan(window).subspan(0, produced));
    if (outcome != Outcome::kOk) return outcome;
    if (result == Z_STREAM_END) {
      stream_ended_ = true;
      return Outcome::kOk;
    }
  } while (inflater_->avail_in > 0 || inflater_->avail_out == 0);
  return Outcome::kOk;
}

WriteSession::Outcome WriteSession::Program(absl::Span<const uint8_t> data) {
  if (data.empty()) return Outcome::kOk;
  const uint32_t size = static_cast<uint32_t>(data.size());
  if (erase_ == Erase::kAsNeeded) EraseUpTo(position_ + size);
  if (!port_.ProgramFlash(position_, data)) return Outcome::kBoardGone;
  position_ += size;
  remaining_ -= size;
  return Outcome::kOk;
}

void WriteSession::EraseUpTo(uint32_t end) {
  while (erased_to_ < end) EraseNext();
}

void WriteSession::EraseNext() {
  FlashMemory& flash = port_.flash();
  if (check_blank_) {
    if (flash.IsBlank(erased_to_, kSector)) {
      erased_to_ += kSector;
      return;
    }
    check_blank_ = false;
  }
  const uint32_t last = RoundUpToSector(end_);
  absl::Duration busy;
  if (erased_to_ % kBlock64 == 0 && erased_to_ + kBlock64 <= last) {
    busy = flash.EraseBlock64(erased_to_);
    erased_to_ += kBlock64;
  } else {
    busy = flash.EraseSector(erased_to_);
    erased_to_ += kSector;
  }
  port_.Spend(busy);
  port_.SpendAlways(port_.faults().erase_extra);
}

}  // namespace kiln::simulator
