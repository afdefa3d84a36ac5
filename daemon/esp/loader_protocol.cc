#include "daemon/esp/loader_protocol.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "daemon/esp/slip.h"

namespace kiln::esp {
namespace {

struct NamedCommand {
  LoaderCommand command;
  absl::string_view name;
};
constexpr NamedCommand kCommandNames[] = {
    {LoaderCommand::kFlashBegin, "FLASH_BEGIN"},
    {LoaderCommand::kFlashData, "FLASH_DATA"},
    {LoaderCommand::kFlashEnd, "FLASH_END"},
    {LoaderCommand::kMemBegin, "MEM_BEGIN"},
    {LoaderCommand::kMemEnd, "MEM_END"},
    {LoaderCommand::kMemData, "MEM_DATA"},
    {LoaderCommand::kSync, "SYNC"},
    {LoaderCommand::kWriteReg, "WRITE_REG"},
    {LoaderCommand::kReadReg, "READ_REG"},
    {LoaderCommand::kSpiSetParams, "SPI_SET_PARAMS"},
    {LoaderCommand::kSpiAttach, "SPI_ATTACH"},
    {LoaderCommand::kChangeBaudRate, "CHANGE_BAUDRATE"},
    {LoaderCommand::kFlashDeflBegin, "FLASH_DEFL_BEGIN"},
    {LoaderCommand::kFlashDeflData, "FLASH_DEFL_DATA"},
    {LoaderCommand::kFlashDeflEnd, "FLASH_DEFL_END"},
    {LoaderCommand::kSpiFlashMd5, "SPI_FLASH_MD5"},
    {LoaderCommand::kGetSecurityInfo, "GET_SECURITY_INFO"},
    {LoaderCommand::kEraseFlash, "ERASE_FLASH"},
    {LoaderCommand::kEraseRegion, "ERASE_REGION"},
    {LoaderCommand::kReadFlash, "READ_FLASH"},
    {LoaderCommand::kRunUserCode, "RUN_USER_CODE"},
};

struct NamedError {
  uint8_t code;
  absl::string_view name;
};
// 0x05-0x0B: ROM loaders ("ROM Loader Errors"). 0xC0-0xC9, 0xFF: stub loaders (esp-flasher-stub,
// src/commands.h, enum esp_response_code).
constexpr NamedError kErrorNames[] = {
    {0x05, "received message is invalid"},
    {0x06, "failed to act on the message"},
    {0x07, "wrong checksum in the message"},
    {0x08, "flash write error"},
    {0x09, "flash read error"},
    {0x0A, "flash read length error"},
    {0x0B, "deflate error"},
    {0xC0, "bad data length"},
    {0xC1, "bad data checksum"},
    {0xC2, "bad block size"},
    {0xC3, "invalid command"},
    {0xC4, "flash operation failed"},
    {0xC5, "flash unlock failed"},
    {0xC6, "not in flash mode"},
    {0xC7, "inflate error"},
    {0xC8, "not enough data"},
    {0xC9, "too much data"},
    {0xFF, "command not implemented"},
};

void EncodeHeader(LoaderCommand command, size_t payload_bytes, uint32_t checksum,
                  SlipEncoder& out) {
  std::array<uint8_t, kLoaderHeaderBytes> header = {kRequestDirection,
                                                    static_cast<uint8_t>(command)};
  base::StoreLe16(&header[2], static_cast<uint16_t>(payload_bytes));
  base::StoreLe32(&header[4], checksum);
  out.Append(header);
}

}  // namespace

std::string LoaderCommandName(LoaderCommand command) {
  for (const NamedCommand& named : kCommandNames) {
    if (named.command == command) return std::string(named.name);
  }
  return absl::StrFormat("0x%02x", static_cast<unsigned>(command));
}

std::vector<uint8_t> Words(std::initializer_list<uint32_t> words) {
  std::vector<uint8_t> bytes;
  bytes.reserve(words.size() * sizeof(uint32_t));
  for (const uint32_t word : words) base::AppendLe(bytes, word);
  return bytes;
}

absl::Span<const uint8_t> SyncPayload() {
  static constexpr std::array<uint8_t, 36> kPayload = [] {
    std::array<uint8_t, 36> payload = {};
    for (uint8_t& byte : payload) byte = 0x55;
    payload[0] = 0x07;
    payload[1] = 0x07;
    payload[2] = 0x12;
    payload[3] = 0x20;
    return payload;
  }();
  return kPayload;
}

absl::Span<const uint8_t> StubGreeting() {
  static constexpr std::array<uint8_t, 4> kGreeting = {'O', 'H', 'A', 'I'};
  return kGreeting;
}

void EncodeRequest(LoaderCommand command, absl::Span<const uint8_t> payload, SlipEncoder& out) {
  out.Begin();
  EncodeHeader(command, payload.size(), 0, out);
  out.Append(payload);
  out.End();
}

void EncodeDataRequest(LoaderCommand command, uint32_t sequence, absl::Span<const uint8_t> data,
                       SlipEncoder& out) {
  std::array<uint8_t, 16> prefix = {};
  base::StoreLe32(&prefix[0], static_cast<uint32_t>(data.size()));
  base::StoreLe32(&prefix[4], sequence);
  out.Begin();
  EncodeHeader(command, prefix.size() + data.size(), DataChecksum(data), out);
  out.Append(prefix);
  out.Append(data);
  out.End();
}

uint8_t DataChecksum(absl::Span<const uint8_t> data) {
  uint8_t checksum = 0xEF;
  for (const uint8_t byte : data) checksum ^= byte;
  return checksum;
}

std::optional<LoaderResponse> ParseResponse(absl::Span<const uint8_t> frame) {
  if (frame.size() < kLoaderHeaderBytes || frame[0] != kResponseDirection) return std::nullopt;
  const size_t size = base::LoadLe16(&frame[2]);
  if (frame.size() != kLoaderHeaderBytes + size) return std::nullopt;
  LoaderResponse response;
  response.command = static_cast<LoaderCommand>(frame[1]);
  response.value = base::LoadLe32(&frame[4]);
  response.payload = frame.subspan(kLoaderHeaderBytes);
  return response;
}

std::optional<LoaderStatus> StatusOf(const LoaderResponse& response, size_t data_bytes) {
  const absl::Span<const uint8_t> payload = response.payload;
  if (payload.size() >= data_bytes + 2) {
    return LoaderStatus{payload[data_bytes], payload[data_bytes + 1]};
  }
  if (payload.size() < 2) return std::nullopt;
  const LoaderStatus status = {payload[0], payload[1]};
  if (status.ok()) return std::nullopt;
  return status;
}

std::string DescribeLoaderStatus(const LoaderStatus& status) {
  // ROM and older stubs put the code into the error byte, newer stubs into the status byte.
  const uint8_t code = status.error != 0 ? status.error : status.status;
  absl::string_view name = "unknown";
  for (const NamedError& named : kErrorNames) {
    if (named.code == code) name = named.name;
  }
  return absl::StrFormat("status 0x%02x, error 0x%02x (%s)", status.status, status.error, name);
}

}  // namespace kiln::esp
