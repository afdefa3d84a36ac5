#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "daemon/ports/usb/ftdi_packets.h"

// The first two bytes are the packet size, the rest one transfer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t max_packet = data[0] | (data[1] & 7) << 8;
  const size_t length = size - 2;
  std::vector<uint8_t> bytes;
  kiln::ports::UnpackFtdi(absl::MakeSpan(data + 2, length), max_packet, bytes);
  if (bytes.size() > length) __builtin_trap();
  // Every full packet loses its two status bytes, and nothing else is lost.
  if (max_packet > 2) {
    const size_t full = length / max_packet;
    const size_t rest = length % max_packet;
    const size_t expected = full * (max_packet - 2) + (rest > 2 ? rest - 2 : 0);
    if (bytes.size() != expected) __builtin_trap();
  }
  return 0;
}
