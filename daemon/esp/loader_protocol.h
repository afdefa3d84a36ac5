#ifndef KILN_DAEMON_ESP_LOADER_PROTOCOL_H_
#define KILN_DAEMON_ESP_LOADER_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/esp/slip.h"

namespace kiln::esp {

// The serial protocol of the ROM and stub loaders. Source of every number here: Espressif,
// "Serial Protocol", esptool documentation, advanced topics.

enum class LoaderCommand : uint8_t {
  kFlashBegin = 0x02,
  kFlashData = 0x03,
  kFlashEnd = 0x04,
  kMemBegin = 0x05,
  kMemEnd = 0x06,
  kMemData = 0x07,
  kSync = 0x08,
  kWriteReg = 0x09,
  kReadReg = 0x0A,
  kSpiSetParams = 0x0B,
  kSpiAttach = 0x0D,
  kChangeBaudRate = 0x0F,
  kFlashDeflBegin = 0x10,
  kFlashDeflData = 0x11,
  kFlashDeflEnd = 0x12,
  kSpiFlashMd5 = 0x13,
  kGetSecurityInfo = 0x14,
  // Stub only.
  kEraseFlash = 0xD0,
  kEraseRegion = 0xD1,
  kReadFlash = 0xD2,
  kRunUserCode = 0xD3,
};

// "FLASH_DEFL_DATA"; "0x42" for a command without a name.
std::string LoaderCommandName(LoaderCommand command);

inline constexpr uint8_t kRequestDirection = 0x00;
inline constexpr uint8_t kResponseDirection = 0x01;
inline constexpr size_t kLoaderHeaderBytes = 8;
// The longest frame a loader sends: header, 4 KiB of READ_FLASH data and its slack.
inline constexpr size_t kMaxResponseFrameBytes = size_t{8} * 1024;

// Little-endian words, the payload of most commands.
std::vector<uint8_t> Words(std::initializer_list<uint32_t> words);

// 07 07 12 20 and 32 times 55.
absl::Span<const uint8_t> SyncPayload();
// What a stub says once it runs.
absl::Span<const uint8_t> StubGreeting();

// Frames one request.
void EncodeRequest(LoaderCommand command, absl::Span<const uint8_t> payload, SlipEncoder& out);
// Frames a *_DATA request: length, sequence number and two zero words stand before `data`, its
// checksum in the header. `data` has at most 65 519 bytes.
void EncodeDataRequest(LoaderCommand command, uint32_t sequence, absl::Span<const uint8_t> data,
                       SlipEncoder& out);
// XOR over `data`, seed 0xEF.
uint8_t DataChecksum(absl::Span<const uint8_t> data);

// One answer. Views the frame it was parsed from.
struct LoaderResponse {
  LoaderCommand command;
  uint32_t value = 0;
  // Everything after the header, status bytes included.
  absl::Span<const uint8_t> payload;
};

// Nothing when `frame` is no well-formed response.
std::optional<LoaderResponse> ParseResponse(absl::Span<const uint8_t> frame);

// Status and error byte of an answer.
struct LoaderStatus {
  uint8_t status = 0;
  uint8_t error = 0;
  bool ok() const { return status == 0; }
};

// Reads the status after `data_bytes` of answer data. A refusal may come without the data. Nothing
// when the payload holds no status, or success without the data. ROM loaders send four status
// bytes, of which the first two count; stubs send two.
std::optional<LoaderStatus> StatusOf(const LoaderResponse& response, size_t data_bytes);

// "status 1, error 0x05 (received message is invalid)".
std::string DescribeLoaderStatus(const LoaderStatus& status);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_LOADER_PROTOCOL_H_
