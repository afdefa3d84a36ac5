#include "simulator/loader.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/digest.h"
#include "base/little_endian.h"
#include "daemon/esp/chip.h"
#include "simulator/chip_model.h"
#include "simulator/faults.h"

namespace kiln::simulator {

std::optional<Request> ParseRequest(absl::Span<const uint8_t> frame) {
  constexpr size_t kHeaderSize = 8;
  if (frame.size() < kHeaderSize || frame[0] != 0x00) return std::nullopt;
  return Request{frame[1], base::LoadLe16(&frame[2]), base::LoadLe32(&frame[4]),
                 frame.subspan(kHeaderSize)};
}

uint8_t ProtocolChecksum(absl::Span<const uint8_t> data) {
  uint8_t checksum = 0xEF;
  for (const uint8_t byte : data) checksum ^= byte;
  return checksum;
}

uint32_t WordAt(const Request& request, size_t index) {
  if (request.data.size() < index * 4 + 4) return 0;
  return base::LoadLe32(&request.data[index * 4]);
}

std::vector<uint8_t> MakeReply(uint8_t opcode, uint32_t value, absl::Span<const uint8_t> data,
                               absl::Span<const uint8_t> status) {
  std::vector<uint8_t> reply = {0x01, opcode};
  base::AppendLe(reply, static_cast<uint16_t>(data.size() + status.size()));
  base::AppendLe(reply, value);
  reply.insert(reply.end(), data.begin(), data.end());
  reply.insert(reply.end(), status.begin(), status.end());
  return reply;
}

base::Md5Digest FlashMd5(LoaderPort& port, uint32_t address, uint32_t size,
                         double bytes_per_second) {
  std::vector<uint8_t> contents(size);
  port.flash().Read(address, absl::MakeSpan(contents));
  base::Md5Digest digest = base::Md5(contents);
  int& wrong_answers = port.faults().wrong_md5_answers;
  if (wrong_answers != 0) {
    if (wrong_answers > 0) --wrong_answers;
    digest[0] ^= 0xFF;
  }
  port.Spend(absl::Seconds(size / bytes_per_second));
  return digest;
}

std::vector<uint8_t> SecurityInfoOf(LoaderPort& port) {
  const Faults& faults = port.faults();
  std::vector<uint8_t> info;
  // Flags: bit 0 secure boot, bit 2 secure download mode.
  base::AppendLe(info, uint32_t{faults.secure_boot ? 1u : 0u} | (faults.secure_download ? 4u : 0u));
  info.push_back(faults.flash_encryption ? 1 : 0);  // counter: odd is enabled
  info.insert(info.end(), 7, 0);                    // key purposes
  if (ModelOf(port.chip()).security_info_has_id) {
    base::AppendLe(info, uint32_t{esp::TraitsOf(port.chip()).image_chip_id});
    base::AppendLe(info, uint32_t{0});  // revision of the interface
  }
  return info;
}

}  // namespace kiln::simulator
