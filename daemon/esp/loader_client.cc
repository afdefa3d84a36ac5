#include "daemon/esp/loader_client.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "base/status_macros.h"
#include "daemon/esp/loader_link.h"
#include "daemon/esp/loader_protocol.h"
#include "daemon/esp/slip.h"
#include "daemon/esp/stub_store.h"
#include "errors/error.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;

// A loader changes its rate after its answer has left; both sides then settle.
constexpr absl::Duration kBaudRateSettling = absl::Milliseconds(50);
constexpr int kSyncAnswers = 8;
// An answer takes 1.2 ms at 115200 baud; an adapter may hold it back for its latency timer.
constexpr absl::Duration kSyncAnswerGap = absl::Milliseconds(40);
constexpr absl::Duration kGreetingTimeout = absl::Seconds(2);
// Answer of GET_SECURITY_INFO: flags, crypt count, 7 key purposes, chip id, API version; the S2
// leaves the last two out.
constexpr size_t kSecurityInfoBytes = 20;
constexpr size_t kSecurityInfoBytesS2 = 12;
constexpr size_t kRomStatusBytes = 4;
constexpr size_t kStubStatusBytes = 2;
constexpr size_t kMd5HexDigits = 32;

std::optional<base::Md5Digest> ParseHexMd5(absl::Span<const uint8_t> text) {
  base::Md5Digest digest;
  for (size_t i = 0; i < digest.size(); ++i) {
    int value = 0;
    for (size_t j = 0; j < 2; ++j) {
      const unsigned char c = text[2 * i + j];
      if (!absl::ascii_isxdigit(c)) return std::nullopt;
      value = value * 16 + (absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10);
    }
    digest[i] = static_cast<uint8_t>(value);
  }
  return digest;
}

}  // namespace

bool SecurityInfo::flash_encryption() const { return std::popcount(crypt_count) % 2 == 1; }

absl::Status LoaderClient::Sync(absl::Duration timeout) {
  ASSIGN_OR_RETURN(const LoaderAnswer answer,
                   link_.Transact(LoaderCommand::kSync, SyncPayload(), 0, timeout));
  // The ROM answers with a word of its own, a stub with 0.
  stub_ = answer.value == 0;
  // Loaders answer eight times and hear nothing meanwhile: a request sent now would be lost.
  for (int i = 1; i < kSyncAnswers; ++i) {
    const absl::Status more = link_.Await(LoaderCommand::kSync, kSyncAnswerGap).status();
    if (errors::Is(more, ErrorCode::kBoardSilent)) break;  // older stubs answer once
    RETURN_IF_ERROR(more);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> LoaderClient::ReadRegister(uint32_t address, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const LoaderAnswer answer,
                   link_.Transact(LoaderCommand::kReadReg, Words({address}), 0, timeout));
  return answer.value;
}

absl::Status LoaderClient::WriteRegister(uint32_t address, uint32_t value, uint32_t mask) {
  constexpr uint32_t kDelayMicroseconds = 0;
  return link_.Transact(LoaderCommand::kWriteReg, Words({address, value, mask, kDelayMicroseconds}))
      .status();
}

absl::StatusOr<SecurityInfo> LoaderClient::GetSecurityInfo() {
  SlipEncoder encoder;
  EncodeRequest(LoaderCommand::kGetSecurityInfo, {}, encoder);
  RETURN_IF_ERROR(link_.Send(encoder.frame()));
  ASSIGN_OR_RETURN(const LoaderAnswer answer,
                   link_.Await(LoaderCommand::kGetSecurityInfo, kDefaultTimeout));
  const size_t status_bytes = stub_ ? kStubStatusBytes : kRomStatusBytes;
  size_t data_bytes = 0;
  if (answer.payload.size() >= kSecurityInfoBytes + status_bytes) {
    data_bytes = kSecurityInfoBytes;
  } else if (answer.payload.size() >= kSecurityInfoBytesS2 + status_bytes) {
    data_bytes = kSecurityInfoBytesS2;
  }
  const std::optional<LoaderStatus> status = StatusOf(
      LoaderResponse{LoaderCommand::kGetSecurityInfo, answer.value, answer.payload}, data_bytes);
  if (data_bytes == 0 || !status.has_value() || !status->ok()) {
    return errors::MakeError(
        ErrorCode::kProtocolError,
        absl::StrCat("GET_SECURITY_INFO refused: ",
                     status.has_value() ? DescribeLoaderStatus(*status) : "no status"));
  }
  SecurityInfo info;
  info.flags = base::LoadLe32(&answer.payload[0]);
  info.crypt_count = answer.payload[4];
  if (data_bytes == kSecurityInfoBytes) info.chip_id = base::LoadLe32(&answer.payload[12]);
  return info;
}

absl::Status LoaderClient::ChangeBaudRate(uint32_t loader_rate, uint32_t rate) {
  // A stub is told its present rate too; the ROM wants 0.
  const uint32_t present = stub_ ? link_.baud_rate() : 0;
  RETURN_IF_ERROR(
      link_.Transact(LoaderCommand::kChangeBaudRate, Words({loader_rate, present})).status());
  RETURN_IF_ERROR(link_.SetBaudRate(rate));
  link_.clock().Sleep(kBaudRateSettling);
  // What arrived around the change was read at the wrong rate.
  return link_.DiscardInput();
}

absl::Status LoaderClient::UploadToMemory(absl::Span<const uint8_t> bytes, uint32_t address,
                                          uint32_t block_bytes) {
  const uint32_t size = static_cast<uint32_t>(bytes.size());
  const uint32_t blocks = (size + block_bytes - 1) / block_bytes;
  RETURN_IF_ERROR(
      link_.Transact(LoaderCommand::kMemBegin, Words({size, blocks, block_bytes, address}))
          .status());
  SlipEncoder encoder;
  for (uint32_t sequence = 0; sequence < blocks; ++sequence) {
    EncodeDataRequest(LoaderCommand::kMemData, sequence,
                      bytes.subspan(size_t{sequence} * block_bytes, block_bytes), encoder);
    RETURN_IF_ERROR(link_.Send(encoder.frame()));
    RETURN_IF_ERROR(link_.AwaitSuccess(LoaderCommand::kMemData, 0, kDefaultTimeout).status());
  }
  return absl::OkStatus();
}

absl::Status LoaderClient::RunStub(const StubImage& stub, uint32_t block_bytes) {
  RETURN_IF_ERROR(UploadToMemory(stub.text, stub.text_start, block_bytes)) << "stub's text";
  if (!stub.data.empty()) {
    RETURN_IF_ERROR(UploadToMemory(stub.data, stub.data_start, block_bytes)) << "stub's data";
  }
  SlipEncoder encoder;
  constexpr uint32_t kExecute = 0;  // "stay in the loader" is 1
  EncodeRequest(LoaderCommand::kMemEnd, Words({kExecute, stub.entry}), encoder);
  RETURN_IF_ERROR(link_.Send(encoder.frame()));
  // The ROM may jump before its answer has left, so only the greeting counts.
  RETURN_IF_ERROR(link_.AwaitGreeting(kGreetingTimeout));
  stub_ = true;
  return absl::OkStatus();
}

absl::Status LoaderClient::SpiAttach(uint32_t pins) {
  // The ROM's form has a second word, which is zero.
  return link_.Transact(LoaderCommand::kSpiAttach, stub_ ? Words({pins}) : Words({pins, 0}))
      .status();
}

absl::Status LoaderClient::SpiSetParameters(uint32_t flash_size_bytes) {
  constexpr uint32_t kId = 0;
  constexpr uint32_t kBlockBytes = 64 * 1024;
  constexpr uint32_t kSectorBytes = 4 * 1024;
  constexpr uint32_t kPageBytes = 256;
  constexpr uint32_t kStatusMask = 0xFFFF;
  return link_
      .Transact(LoaderCommand::kSpiSetParams,
                Words({kId, flash_size_bytes, kBlockBytes, kSectorBytes, kPageBytes, kStatusMask}))
      .status();
}

absl::StatusOr<base::Md5Digest> LoaderClient::FlashMd5(uint32_t offset, uint32_t size,
                                                       absl::Duration patience) {
  // The ROM answers in hexadecimal digits, the stub in bytes.
  const size_t data_bytes = stub_ ? sizeof(base::Md5Digest) : kMd5HexDigits;
  ASSIGN_OR_RETURN(const LoaderAnswer answer,
                   link_.Transact(LoaderCommand::kSpiFlashMd5, Words({offset, size, 0, 0}),
                                  data_bytes, TimeoutFor(size, kMd5PerMebibyte) + patience));
  if (stub_) {
    base::Md5Digest digest;
    std::copy_n(answer.payload.begin(), digest.size(), digest.begin());
    return digest;
  }
  const std::optional<base::Md5Digest> digest =
      ParseHexMd5(absl::MakeConstSpan(answer.payload).subspan(0, kMd5HexDigits));
  if (!digest.has_value()) {
    return errors::MakeError(ErrorCode::kProtocolError, "SPI_FLASH_MD5 answered no digest");
  }
  return *digest;
}

absl::Status LoaderClient::EraseRegion(uint32_t offset, uint32_t size) {
  return link_
      .Transact(LoaderCommand::kEraseRegion, Words({offset, size}), 0,
                TimeoutFor(size, kErasePerMebibyte))
      .status();
}

absl::Status LoaderClient::BeginCompressedWrite(uint32_t plain_bytes, uint32_t blocks,
                                                uint32_t block_bytes, uint32_t offset,
                                                bool extra_word) {
  if (stub_) {
    // Erases as it goes; one erase may be under way when it answers.
    return link_
        .Transact(LoaderCommand::kFlashDeflBegin, Words({plain_bytes, blocks, block_bytes, offset}),
                  0, kDefaultTimeout + TimeoutFor(uint64_t{64} * 1024, kErasePerMebibyte))
        .status();
  }
  // Erases everything before it answers, and counts in whole blocks.
  const uint32_t rounded = (plain_bytes + block_bytes - 1) / block_bytes * block_bytes;
  return link_
      .Transact(LoaderCommand::kFlashDeflBegin,
                extra_word ? Words({rounded, blocks, block_bytes, offset, 0})
                           : Words({rounded, blocks, block_bytes, offset}),
                0, TimeoutFor(rounded, kErasePerMebibyte))
      .status();
}

absl::Status LoaderClient::LeaveLoader(bool extra_word) {
  SlipEncoder encoder;
  if (stub_) {
    EncodeRequest(LoaderCommand::kRunUserCode, {}, encoder);
    return link_.Send(encoder.frame());
  }
  // FLASH_END is only heard in a write; an empty one does.
  constexpr uint32_t kReboot = 0;
  RETURN_IF_ERROR(link_
                      .Transact(LoaderCommand::kFlashBegin,
                                extra_word ? Words({0, 0, 0x400, 0, 0}) : Words({0, 0, 0x400, 0}))
                      .status());
  EncodeRequest(LoaderCommand::kFlashEnd, Words({kReboot}), encoder);
  return link_.Send(encoder.frame());
}

}  // namespace kiln::esp
