#ifndef KILN_DAEMON_PORTS_RFC2217_COM_PORT_H_
#define KILN_DAEMON_PORTS_RFC2217_COM_PORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::ports {

// The messages of telnet's com port option (RFC 2217, section 3).
enum class ComPortCommand : uint8_t {
  kSignature = 0,
  kSetBaudRate = 1,
  kSetDataSize = 2,
  kSetParity = 3,
  kSetStopSize = 4,
  kSetControl = 5,
  kNotifyLineState = 6,
  kNotifyModemState = 7,
  kFlowControlSuspend = 8,
  kFlowControlResume = 9,
  kSetLineStateMask = 10,
  kSetModemStateMask = 11,
  kPurgeData = 12,
};

// Values of kSetControl. What asks for a state is answered with the state.
inline constexpr uint32_t kControlAskFlow = 0;
inline constexpr uint32_t kControlNoFlow = 1;
inline constexpr uint32_t kControlXonXoff = 2;
inline constexpr uint32_t kControlHardwareFlow = 3;
inline constexpr uint32_t kControlAskBreak = 4;
inline constexpr uint32_t kControlBreakOn = 5;
inline constexpr uint32_t kControlBreakOff = 6;
inline constexpr uint32_t kControlAskDtr = 7;
inline constexpr uint32_t kControlDtrOn = 8;
inline constexpr uint32_t kControlDtrOff = 9;
inline constexpr uint32_t kControlAskRts = 10;
inline constexpr uint32_t kControlRtsOn = 11;
inline constexpr uint32_t kControlRtsOff = 12;
inline constexpr uint32_t kControlAskInboundFlow = 13;
inline constexpr uint32_t kControlNoInboundFlow = 14;
inline constexpr uint32_t kControlInboundXonXoff = 15;
inline constexpr uint32_t kControlInboundHardwareFlow = 16;
inline constexpr uint32_t kControlDcdFlow = 17;
inline constexpr uint32_t kControlInboundDtrFlow = 18;
inline constexpr uint32_t kControlDsrFlow = 19;

// Values of the framing that Kiln uses: 8N1.
inline constexpr uint32_t kDataSize8 = 8;
inline constexpr uint32_t kParityNone = 1;
inline constexpr uint32_t kStopSize1 = 1;
// Of kPurgeData.
inline constexpr uint32_t kPurgeReceive = 1;
inline constexpr uint32_t kPurgeTransmit = 2;
inline constexpr uint32_t kPurgeBoth = 3;
// Bits of kNotifyLineState: what was handed over has left the port.
inline constexpr uint32_t kLineStateSent = 0x60;

struct ComPortMessage {
  ComPortCommand command = ComPortCommand::kSignature;
  bool from_server = false;  // an answer or a notice rather than a request
  // Of all but kSignature and the flow controls: bits per second for
  // kSetBaudRate, otherwise one byte. Requests for a notice have none.
  std::optional<uint32_t> value;
  std::string signature;  // of kSignature; empty in a question for it
};

// Nothing unless `payload` (of a subnegotiation of kTelnetComPort) is a whole
// message and no more.
std::optional<ComPortMessage> ParseComPort(absl::Span<const uint8_t> payload);

// Appends the message as it travels. `value` as in ComPortMessage.
void AppendComPortRequest(ComPortCommand command, std::optional<uint32_t> value,
                          std::vector<uint8_t>& out);
void AppendComPortAnswer(ComPortCommand command, std::optional<uint32_t> value,
                         std::vector<uint8_t>& out);
// What a server says of itself; at most 200 bytes are sent.
void AppendComPortSignature(absl::string_view signature, std::vector<uint8_t>& out);

// "SET-BAUDRATE": RFC 2217's own word.
absl::string_view ComPortCommandName(ComPortCommand command);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_COM_PORT_H_
