#ifndef KILN_DAEMON_PORTS_USB_FTDI_PACKETS_H_
#define KILN_DAEMON_PORTS_USB_FTDI_PACKETS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace kiln::ports {

// The status in front of every packet: the second byte is the 16550's line status, of which bit 6
// says that the transmitter is empty.
inline constexpr size_t kFtdiStatusSize = 2;
inline constexpr uint16_t kFtdiTransmitterEmpty = 0x4000;

// What FTDI's chips send: packets of at most `max_packet` bytes, each with two status bytes in
// front. Appends the rest to `bytes` and returns the last status, modem status in the low byte; 0
// when there was none.
uint16_t UnpackFtdi(absl::Span<const uint8_t> transfer, size_t max_packet,
                    std::vector<uint8_t>& bytes);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_FTDI_PACKETS_H_
