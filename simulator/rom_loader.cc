#include "simulator/rom_loader.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "simulator/chip_model.h"
#include "simulator/loader.h"
#include "simulator/write_session.h"

namespace kiln::simulator {
namespace {

constexpr size_t kDataHeader = 16;      // length, sequence, two zero words
constexpr uint32_t kReadSlowSize = 64;  // bytes a READ_FLASH_SLOW answer always carries
constexpr uint32_t kSyncValue = 0x20120707;
constexpr int kSyncReplies = 8;
constexpr int kUnknownReplies = 8;
// Hashing while reading the flash through the ROM; a guess well inside the 8 s per MB hosts allow.
constexpr double kMd5BytesPerSecond = 4e6;

}  // namespace

bool RomLoader::Knows(uint8_t opcode) const {
  if (port_.faults().secure_download) {
    // Secure Download Mode leaves only what writes.
    switch (opcode) {
      case kSync:
      case kSpiAttach:
      case kSpiSetParams:
      case kFlashBegin:
      case kFlashData:
      case kFlashEnd:
        return true;
      case kChangeBaudRate:
        return port_.chip() != esp::Chip::kEsp32C2 && port_.chip() != esp::Chip::kEsp32C5;
      case kGetSecurityInfo:
        return ModelOf(port_.chip()).has_security_info;
      default:
        return false;
    }
  }
  if (opcode == kGetSecurityInfo) return ModelOf(port_.chip()).has_security_info;
  return (opcode >= kFlashBegin && opcode <= kSpiSetParams) ||
         (opcode >= kSpiAttach && opcode <= kSpiFlashMd5);
}

void RomLoader::Handle(absl::Span<const uint8_t> frame) {
  if (port_.faults().dead_loader) return;
  const std::optional<Request> request = ParseRequest(frame);
  if (!request.has_value()) return;
  if (!Knows(request->opcode) || request->length != request->data.size()) {
    ReplyUnknown(*request);
    return;
  }
  switch (request->opcode) {
    case kSync:
      return Sync(*request);
    case kFlashBegin:
      return Reply(*request, Begin(*request, false));
    case kFlashDeflBegin:
      return Reply(*request, Begin(*request, true));
    case kFlashData:
      return Reply(*request, Data(*request, false));
    case kFlashDeflData:
      return Reply(*request, Data(*request, true));
    case kFlashEnd:
    case kFlashDeflEnd:
      return End(*request);
    case kMemBegin:
      return Reply(*request, MemBegin(*request));
    case kMemData:
      return Reply(*request, MemData(*request));
    case kMemEnd:
      return MemEnd(*request);
    case kWriteReg:
      return Reply(*request, WriteRegisters(*request));
    case kReadReg:
      return Reply(*request, kOk, port_.registers().Read(WordAt(*request, 0)));
    case kSpiSetParams:
      if (request->data.size() < 24) return Reply(*request, kInvalidMessage);
      flash_size_ = WordAt(*request, 1);
      return Reply(*request, kOk);
    case kSpiAttach:
      // The ROM wants two words: the pins and the legacy flag.
      if (request->data.size() < 8) return Reply(*request, kInvalidMessage);
      port_.registers().AttachFlash();
      return Reply(*request, kOk);
    case kChangeBaudRate:
      return ChangeBaud(*request);
    case kSpiFlashMd5:
      return Md5(*request);
    case kReadFlashSlow:
      return ReadSlow(*request);
    case kGetSecurityInfo:
      return Reply(*request, kOk, 0, SecurityInfoOf(port_));
    default:
      return ReplyUnknown(*request);
  }
}

void RomLoader::Reply(const Request& request, Error error, uint32_t value,
                      absl::Span<const uint8_t> data) {
  const uint8_t status[] = {static_cast<uint8_t>(error == kOk ? 0 : 1), error, 0, 0};
  port_.SendFrame(
      MakeReply(request.opcode, value, error == kOk ? data : absl::Span<const uint8_t>(), status));
}

void RomLoader::ReplyUnknown(const Request& request) {
  const bool old_rom = port_.chip() == esp::Chip::kEsp32;
  const uint8_t status[] = {1, kInvalidMessage, 0, 0};
  // The oldest ROM answers several times, and not under the command's own number.
  const std::vector<uint8_t> reply = MakeReply(old_rom ? 0 : request.opcode, 0, {}, status);
  for (int i = 0; i < (old_rom ? kUnknownReplies : 1); ++i) port_.SendFrame(reply);
}

void RomLoader::Sync(const Request& request) {
  if (request.data.size() != 36 || WordAt(request, 0) != 0x20120707) {
    return ReplyUnknown(request);
  }
  for (int i = 0; i < kSyncReplies; ++i) Reply(request, kOk, kSyncValue);
}

bool RomLoader::InFlash(uint32_t offset, uint64_t size) const {
  return port_.registers().flash_attached() &&
         offset + size <= std::min<uint64_t>(flash_size_, port_.flash().size());
}

RomLoader::Error RomLoader::Begin(const Request& request, bool deflated) {
  const size_t wanted = ModelOf(port_.chip()).has_begin_encryption_word ? 20 : 16;
  if (request.data.size() != wanted) return kInvalidMessage;
  const uint32_t size = WordAt(request, 0);
  const uint32_t offset = WordAt(request, 3);
  session_.reset();
  if (!InFlash(offset, size)) return kFailedToAct;
  session_ =
      std::make_unique<WriteSession>(port_, WriteSession::Erase::kUpFront, deflated, offset, size);
  return kOk;
}

RomLoader::Error RomLoader::Data(const Request& request, bool deflated) {
  if (request.data.size() < kDataHeader) return kInvalidMessage;
  const absl::Span<const uint8_t> data = request.data.subspan(kDataHeader);
  if (WordAt(request, 0) != data.size()) return kInvalidMessage;
  if (ProtocolChecksum(data) != (request.checksum & 0xFF)) return kInvalidChecksum;
  if (session_ == nullptr || session_->deflated() != deflated) return kFailedToAct;
  switch (session_->Write(data)) {
    case WriteSession::Outcome::kOk:
    case WriteSession::Outcome::kBoardGone:
      return kOk;
    case WriteSession::Outcome::kTooMuch:
      return kFlashWriteError;
    case WriteSession::Outcome::kInflateFailed:
      return kInflateError;
  }
  return kFailedToAct;
}

void RomLoader::End(const Request& request) {
  if (request.data.size() < 4) return Reply(request, kInvalidMessage);
  session_.reset();
  Reply(request, kOk);
  // Either way this loader is over: 0 resets the chip, 1 goes on to the program in flash.
  if (WordAt(request, 0) == 0) return port_.SoftReset();
  port_.RunProgram();
}

RomLoader::Error RomLoader::MemBegin(const Request& request) {
  if (request.data.size() != 16) return kInvalidMessage;
  const uint32_t size = WordAt(request, 0);
  const uint32_t offset = WordAt(request, 3);
  if (uint64_t{offset} + size > UINT32_MAX) return kFailedToAct;
  mem_window_ = {offset, offset + size};
  mem_position_ = offset;
  return kOk;
}

RomLoader::Error RomLoader::MemData(const Request& request) {
  if (request.data.size() < kDataHeader) return kInvalidMessage;
  const absl::Span<const uint8_t> data = request.data.subspan(kDataHeader);
  if (WordAt(request, 0) != data.size()) return kInvalidMessage;
  if (ProtocolChecksum(data) != (request.checksum & 0xFF)) return kInvalidChecksum;
  if (!mem_window_.has_value() || data.size() > mem_window_->second - mem_position_) {
    return kFailedToAct;
  }
  mem_position_ += static_cast<uint32_t>(data.size());
  if (mem_position_ == mem_window_->second) uploaded_.push_back(*mem_window_);
  return kOk;
}

void RomLoader::MemEnd(const Request& request) {
  if (request.data.size() < 8) return Reply(request, kInvalidMessage);
  Reply(request, kOk);
  const uint32_t entry = WordAt(request, 1);
  if (WordAt(request, 0) != 0) return;  // stay in the loader
  const bool entry_uploaded =
      std::any_of(uploaded_.begin(), uploaded_.end(),
                  [&](const auto& part) { return entry >= part.first && entry < part.second; });
  // A jump into nothing: the chip hangs until it is reset.
  if (entry_uploaded) port_.StartStub();
}

RomLoader::Error RomLoader::WriteRegisters(const Request& request) {
  if (request.data.size() < 16 || request.data.size() % 16 != 0) return kInvalidMessage;
  for (size_t word = 0; word * 4 < request.data.size(); word += 4) {
    port_.registers().Write(WordAt(request, word), WordAt(request, word + 1),
                            WordAt(request, word + 2));
    port_.Spend(absl::Microseconds(std::min<uint32_t>(WordAt(request, word + 3), 1'000'000)));
  }
  return kOk;
}

void RomLoader::ChangeBaud(const Request& request) {
  if (request.data.size() < 8 || WordAt(request, 0) == 0) return Reply(request, kInvalidMessage);
  Reply(request, kOk);
  uint32_t baud = WordAt(request, 0);
  if (port_.chip() == esp::Chip::kEsp32) {
    // This ROM divides a crystal frequency it has measured, and measured wrong.
    const Registers& registers = port_.registers();
    const double believed = static_cast<double>(registers.Read(0x3FF5F06C) >> 7) * 15625.0 *
                            (registers.Read(0x3FF5A010) & 0xFF) / 40.0;
    if (believed > 0) {
      baud = static_cast<uint32_t>(baud * (ModelOf(port_.chip()).crystal_hz / believed));
    }
  }
  port_.ChangeBaudRate(baud);
}

void RomLoader::Md5(const Request& request) {
  if (request.data.size() < 16) return Reply(request, kInvalidMessage);
  const uint32_t address = WordAt(request, 0);
  const uint32_t size = WordAt(request, 1);
  if (!InFlash(address, size)) return Reply(request, kFailedToAct);
  const base::Md5Digest digest = FlashMd5(port_, address, size, kMd5BytesPerSecond);
  Reply(request, kOk, 0, base::AsBytes(base::HexOf(digest)));
}

void RomLoader::ReadSlow(const Request& request) {
  if (request.data.size() < 8) return Reply(request, kInvalidMessage);
  const uint32_t address = WordAt(request, 0);
  const uint32_t size = WordAt(request, 1);
  if (size > kReadSlowSize || !InFlash(address, size)) return Reply(request, kFlashReadError);
  std::vector<uint8_t> contents(kReadSlowSize, 0);
  port_.flash().Read(address, absl::MakeSpan(contents).subspan(0, size));
  Reply(request, kOk, 0, contents);
}

}  // namespace kiln::simulator
