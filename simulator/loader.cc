#include "simulator/loader.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "base/little_endian.h"

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

}  // namespace kiln::simulator
