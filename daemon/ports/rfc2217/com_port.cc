#include "daemon/ports/rfc2217/com_port.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/ports/rfc2217/telnet.h"

namespace kiln::ports {
namespace {

// A server's message has its client's number and this (RFC 2217, section 3).
constexpr uint8_t kServerOffset = 100;
constexpr uint8_t kLastCommand = static_cast<uint8_t>(ComPortCommand::kPurgeData);
constexpr size_t kMaxSignature = 200;

void Append(uint8_t number, ComPortCommand command, std::optional<uint32_t> value,
            std::vector<uint8_t>& out) {
  std::vector<uint8_t> payload = {number};
  if (value.has_value()) {
    if (command == ComPortCommand::kSetBaudRate) {
      for (const int shift : {24, 16, 8}) {
        payload.push_back(static_cast<uint8_t>(*value >> shift));
      }
    }
    payload.push_back(static_cast<uint8_t>(*value));
  }
  AppendTelnetSubnegotiation(kTelnetComPort, payload, out);
}

}  // namespace

std::optional<ComPortMessage> ParseComPort(absl::Span<const uint8_t> payload) {
  if (payload.empty()) return std::nullopt;
  ComPortMessage message;
  uint8_t number = payload[0];
  message.from_server = number >= kServerOffset;
  if (message.from_server) number = static_cast<uint8_t>(number - kServerOffset);
  if (number > kLastCommand) return std::nullopt;
  message.command = static_cast<ComPortCommand>(number);
  payload.remove_prefix(1);
  switch (message.command) {
    case ComPortCommand::kSignature:
      message.signature.assign(payload.begin(), payload.end());
      return message;
    case ComPortCommand::kSetBaudRate:
      if (payload.size() != 4) return std::nullopt;
      message.value = uint32_t{payload[0]} << 24 | uint32_t{payload[1]} << 16 |
                      uint32_t{payload[2]} << 8 | payload[3];
      return message;
    case ComPortCommand::kFlowControlSuspend:
    case ComPortCommand::kFlowControlResume:
      if (!payload.empty()) return std::nullopt;
      return message;
    case ComPortCommand::kNotifyLineState:
    case ComPortCommand::kNotifyModemState:
      // A client asks without a value.
      if (payload.empty() && !message.from_server) return message;
      break;
    default:
      break;
  }
  if (payload.size() != 1) return std::nullopt;
  message.value = payload[0];
  return message;
}

void AppendComPortRequest(ComPortCommand command, std::optional<uint32_t> value,
                          std::vector<uint8_t>& out) {
  Append(static_cast<uint8_t>(command), command, value, out);
}

void AppendComPortAnswer(ComPortCommand command, std::optional<uint32_t> value,
                         std::vector<uint8_t>& out) {
  Append(static_cast<uint8_t>(static_cast<uint8_t>(command) + kServerOffset), command, value, out);
}

void AppendComPortSignature(absl::string_view signature, std::vector<uint8_t>& out) {
  signature = signature.substr(0, kMaxSignature);
  std::vector<uint8_t> payload = {kServerOffset};
  payload.insert(payload.end(), signature.begin(), signature.end());
  AppendTelnetSubnegotiation(kTelnetComPort, payload, out);
}

absl::string_view ComPortCommandName(ComPortCommand command) {
  switch (command) {
    case ComPortCommand::kSignature:
      return "SIGNATURE";
    case ComPortCommand::kSetBaudRate:
      return "SET-BAUDRATE";
    case ComPortCommand::kSetDataSize:
      return "SET-DATASIZE";
    case ComPortCommand::kSetParity:
      return "SET-PARITY";
    case ComPortCommand::kSetStopSize:
      return "SET-STOPSIZE";
    case ComPortCommand::kSetControl:
      return "SET-CONTROL";
    case ComPortCommand::kNotifyLineState:
      return "NOTIFY-LINESTATE";
    case ComPortCommand::kNotifyModemState:
      return "NOTIFY-MODEMSTATE";
    case ComPortCommand::kFlowControlSuspend:
      return "FLOWCONTROL-SUSPEND";
    case ComPortCommand::kFlowControlResume:
      return "FLOWCONTROL-RESUME";
    case ComPortCommand::kSetLineStateMask:
      return "SET-LINESTATE-MASK";
    case ComPortCommand::kSetModemStateMask:
      return "SET-MODEMSTATE-MASK";
    case ComPortCommand::kPurgeData:
      return "PURGE-DATA";
  }
  return "unknown";
}

}  // namespace kiln::ports
