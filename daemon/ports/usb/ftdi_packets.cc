#include "daemon/ports/usb/ftdi_packets.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace kiln::ports {

uint16_t UnpackFtdi(absl::Span<const uint8_t> transfer, size_t max_packet,
                    std::vector<uint8_t>& bytes) {
  uint16_t status = 0;
  while (transfer.size() >= kFtdiStatusSize) {
    const auto packet =
        transfer.first(std::min(transfer.size(), std::max(max_packet, kFtdiStatusSize)));
    status = static_cast<uint16_t>(packet[0] | packet[1] << 8);
    bytes.insert(bytes.end(), packet.begin() + kFtdiStatusSize, packet.end());
    transfer.remove_prefix(packet.size());
  }
  return status;
}

}  // namespace kiln::ports
