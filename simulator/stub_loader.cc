#include "simulator/stub_loader.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "simulator/chip_model.h"
#include "simulator/loader.h"
#include "simulator/write_session.h"

namespace kiln::simulator {
namespace {

constexpr size_t kDataHeader = 16;  // length, sequence, two zero words
constexpr int kSyncReplies = 8;
constexpr uint32_t kMaxReadBlock = 4096;
// Hashing while reading the flash through the stub; a guess, as for the ROM.
constexpr double kMd5BytesPerSecond = 8e6;

}  // namespace

// A stub attaches the default flash pins itself when it starts.
StubLoader::StubLoader(LoaderPort& port) : port_(port) { port_.registers().AttachFlash(); }

void StubLoader::Greet() {
  static constexpr uint8_t kGreeting[] = {'O', 'H', 'A', 'I'};
  port_.SendFrame(kGreeting);
}

void StubLoader::Handle(absl::Span<const uint8_t> frame) {
  if (read_ != nullptr) {
    // The acknowledgement carries how much has arrived; anything else ends the reading.
    if (frame.size() != 4 || base::LoadLe32(frame.data()) != read_->sent) {
      read_.reset();
      return;
    }
    return SendNextRead();
  }
  const std::optional<Request> request = ParseRequest(frame);
  if (!request.has_value()) return;
  if (request->length != request->data.size()) return Reply(*request, kBadDataLength);
  if (deferred_ != kOk && request->opcode != kSync) {
    const Error error = deferred_;
    deferred_ = kOk;
    return Reply(*request, error);
  }
  switch (request->opcode) {
    case kSync:
      deferred_ = kOk;
      for (int i = 0; i < kSyncReplies; ++i) Reply(*request, kOk);
      return;
    case kFlashBegin:
      return Reply(*request, Begin(*request, false));
    case kFlashDeflBegin:
      return Reply(*request, Begin(*request, true));
    case kFlashData:
      return Data(*request, false);
    case kFlashDeflData:
      return Data(*request, true);
    case kFlashEnd:
    case kFlashDeflEnd:
      return End(*request);
    case kWriteReg:
      if (request->data.size() < 16) return Reply(*request, kBadDataLength);
      for (size_t word = 0; word * 4 + 16 <= request->data.size(); word += 4) {
        port_.registers().Write(WordAt(*request, word), WordAt(*request, word + 1),
                                WordAt(*request, word + 2));
      }
      return Reply(*request, kOk);
    case kReadReg:
      if (request->data.size() < 4) return Reply(*request, kBadDataLength);
      return Reply(*request, kOk, port_.registers().Read(WordAt(*request, 0)));
    case kSpiSetParams:
      return Reply(*request, request->data.size() == 24 ? kOk : kBadDataLength);
    case kSpiAttach:
      return Reply(*request, request->data.size() >= 4 ? kOk : kBadDataLength);
    case kChangeBaudRate:
      return ChangeBaud(*request);
    case kSpiFlashMd5:
      return Md5(*request);
    case kGetSecurityInfo:
      return SecurityInfo(*request);
    case kEraseFlash:
      return EraseAll(*request);
    case kEraseRegion:
      return EraseRegion(*request);
    case kReadFlash:
      return ReadFlash(*request);
    case kRunUserCode:
      return port_.RunProgram();
    default:
      return Reply(*request, kInvalidCommand);
  }
}

void StubLoader::Reply(const Request& request, Error error, uint32_t value,
                       absl::Span<const uint8_t> data) {
  const uint8_t status[] = {static_cast<uint8_t>(error == kOk ? 0 : 1), error};
  port_.SendFrame(
      MakeReply(request.opcode, value, error == kOk ? data : absl::Span<const uint8_t>(), status));
}

bool StubLoader::InFlash(uint32_t offset, uint64_t size) const {
  return offset + size <= port_.flash().size();
}

StubLoader::Error StubLoader::Begin(const Request& request, bool deflated) {
  // Four words, and the encryption flag, which every stub takes.
  if (request.data.size() != 16 && request.data.size() != 20) return kBadDataLength;
  const uint32_t size = WordAt(request, 0);
  const uint32_t offset = WordAt(request, 3);
  session_.reset();
  if (WordAt(request, 2) > kMaxBlock) return kBadBlockSize;
  if (!InFlash(offset, size)) return kFailedSpiOperation;
  session_ =
      std::make_unique<WriteSession>(port_, WriteSession::Erase::kAsNeeded, deflated, offset, size);
  return kOk;
}

void StubLoader::Data(const Request& request, bool deflated) {
  if (session_ == nullptr || session_->deflated() != deflated) {
    return Reply(request, kNotInFlashMode);
  }
  if (request.data.size() < kDataHeader) return Reply(request, kBadDataLength);
  const absl::Span<const uint8_t> data = request.data.subspan(kDataHeader);
  if (WordAt(request, 0) != data.size()) return Reply(request, kBadDataLength);
  if (data.size() > kMaxBlock) return Reply(request, kBadBlockSize);
  if (ProtocolChecksum(data) != (request.checksum & 0xFF)) return Reply(request, kBadDataChecksum);
  Reply(request, kOk);
  switch (session_->Write(data)) {
    case WriteSession::Outcome::kOk:
    case WriteSession::Outcome::kBoardGone:
      break;
    case WriteSession::Outcome::kTooMuch:
      deferred_ = kTooMuchData;
      break;
    case WriteSession::Outcome::kInflateFailed:
      deferred_ = kInflateError;
      break;
  }
}

void StubLoader::End(const Request& request) {
  if (session_ == nullptr) return Reply(request, kNotInFlashMode);
  if (request.data.size() != 4) return Reply(request, kBadDataLength);
  if (session_->remaining() > 0) return Reply(request, kNotEnoughData);
  session_.reset();
  Reply(request, kOk);
  if (WordAt(request, 0) == 0) port_.SoftReset();
}

void StubLoader::ChangeBaud(const Request& request) {
  if (request.data.size() != 8 || WordAt(request, 0) == 0) return Reply(request, kBadDataLength);
  Reply(request, kOk);
  // The new divider is scaled from the present one, so a wrong "old rate" gives a wrong new one.
  const uint32_t old_rate = WordAt(request, 1);
  if (old_rate == 0) return;
  const double scale = static_cast<double>(WordAt(request, 0)) / old_rate;
  port_.ChangeBaudRate(static_cast<uint32_t>(std::lround(port_.baud_rate() * scale)));
}

void StubLoader::Md5(const Request& request) {
  if (request.data.size() != 16) return Reply(request, kBadDataLength);
  const uint32_t address = WordAt(request, 0);
  const uint32_t size = WordAt(request, 1);
  if (!InFlash(address, size)) return Reply(request, kFailedSpiOperation);
  const base::Md5Digest digest = FlashMd5(port_, address, size, kMd5BytesPerSecond);
  Reply(request, kOk, 0, digest);
}

void StubLoader::EraseAll(const Request& request) {
  port_.Spend(port_.flash().EraseChip());
  port_.SpendAlways(port_.faults().erase_extra);
  Reply(request, kOk);
}

void StubLoader::EraseRegion(const Request& request) {
  constexpr uint32_t kSector = FlashMemory::kSectorSize;
  constexpr uint32_t kBlock = FlashMemory::kBlock64Size;
  if (request.data.size() != 8) return Reply(request, kBadDataLength);
  uint32_t position = WordAt(request, 0);
  uint32_t remaining = WordAt(request, 1);
  if (position % kSector != 0 || remaining % kSector != 0) return Reply(request, kBadBlockSize);
  if (!InFlash(position, remaining)) return Reply(request, kFailedSpiOperation);
  while (remaining > 0) {
    const bool block = position % kBlock == 0 && remaining >= kBlock;
    port_.Spend(block ? port_.flash().EraseBlock64(position) : port_.flash().EraseSector(position));
    port_.SpendAlways(port_.faults().erase_extra);
    position += block ? kBlock : kSector;
    remaining -= block ? kBlock : kSector;
  }
  Reply(request, kOk);
}

void StubLoader::ReadFlash(const Request& request) {
  if (request.data.size() != 16) return Reply(request, kBadDataLength);
  const uint32_t block = WordAt(request, 2);
  if (block == 0 || block > kMaxReadBlock) return Reply(request, kBadBlockSize);
  if (!InFlash(WordAt(request, 0), WordAt(request, 1))) return Reply(request, kFailedSpiOperation);
  Reply(request, kOk);
  read_ = std::make_unique<Reading>(Reading{WordAt(request, 0), WordAt(request, 1), block});
  SendNextRead();
}

void StubLoader::SendNextRead() {
  if (read_->remaining == 0) {
    const std::unique_ptr<Reading> done = std::move(read_);
    port_.SendFrame(base::Md5(done->all));
    return;
  }
  std::vector<uint8_t> block(std::min(read_->block_size, read_->remaining));
  port_.flash().Read(read_->position, absl::MakeSpan(block));
  const uint32_t size = static_cast<uint32_t>(block.size());
  read_->position += size;
  read_->remaining -= size;
  read_->sent += size;
  read_->all.insert(read_->all.end(), block.begin(), block.end());
  port_.SendFrame(block);
}

void StubLoader::SecurityInfo(const Request& request) {
  if (!ModelOf(port_.chip()).has_security_info) return Reply(request, kInvalidCommand);
  Reply(request, kOk, 0, SecurityInfoOf(port_));
}

}  // namespace kiln::simulator
