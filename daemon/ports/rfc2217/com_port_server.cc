#include "daemon/ports/rfc2217/com_port_server.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/line_sequencer.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// As every stream starts.
constexpr uint32_t kFirstBaud = 115200;
constexpr uint32_t kMinBaud = 110;
constexpr uint32_t kMaxBaud = 12'000'000;
// What may still be on its way to the board before its rate changes.
constexpr absl::Duration kDrainTimeout = absl::Seconds(3);
constexpr absl::Duration kWriteTimeout = absl::Seconds(10);

// Nothing is to be asked again.
constexpr std::nullopt_t kDone = std::nullopt;

absl::Duration Now() { return base::SystemClock().Monotonic(); }

}  // namespace

ComPortServer::ComPortServer(ByteStream& stream, std::string signature)
    : stream_(stream), signature_(std::move(signature)), baud_(kFirstBaud) {}

absl::StatusOr<std::optional<absl::Duration>> ComPortServer::Handle(const ComPortMessage& message,
                                                                    std::vector<uint8_t>& answer) {
  switch (message.command) {
    case ComPortCommand::kSignature:
      if (message.signature.empty()) AppendComPortSignature(signature_, answer);
      return kDone;
    case ComPortCommand::kSetBaudRate:
      RETURN_IF_ERROR(SetBaudRate(*message.value));
      AppendComPortAnswer(message.command, baud_, answer);
      return kDone;
    // Boards speak 8N1 without flow control; the answer says what is in force.
    case ComPortCommand::kSetDataSize:
      AppendComPortAnswer(message.command, kDataSize8, answer);
      return kDone;
    case ComPortCommand::kSetParity:
      AppendComPortAnswer(message.command, kParityNone, answer);
      return kDone;
    case ComPortCommand::kSetStopSize:
      AppendComPortAnswer(message.command, kStopSize1, answer);
      return kDone;
    case ComPortCommand::kSetControl:
      return SetControl(*message.value, answer);
    case ComPortCommand::kNotifyLineState: {
      ASSIGN_OR_RETURN(const bool sent, Drained());
      AppendComPortAnswer(message.command, sent ? kLineStateSent : 0, answer);
      return kDone;
    }
    case ComPortCommand::kNotifyModemState:
      AppendComPortAnswer(message.command, 0, answer);
      return kDone;
    case ComPortCommand::kSetLineStateMask:
    case ComPortCommand::kSetModemStateMask:
      // There is nothing to tell in any case.
      AppendComPortAnswer(message.command, message.value, answer);
      return kDone;
    case ComPortCommand::kPurgeData:
      if (*message.value == 0 || *message.value > kPurgeBoth) return kDone;
      // What was to be sent is sent by now.
      if (*message.value != kPurgeTransmit) {
        RETURN_IF_ERROR(stream_.DiscardInput());
      }
      AppendComPortAnswer(message.command, message.value, answer);
      return kDone;
    case ComPortCommand::kFlowControlSuspend:
    case ComPortCommand::kFlowControlResume:
      return kDone;
  }
  return kDone;
}

absl::Status ComPortServer::Write(absl::Span<const uint8_t> bytes) {
  // 8N1 is ten bits a byte; twice that, and patience.
  const absl::Duration on_wire = absl::Seconds(20.0 * static_cast<double>(bytes.size()) / baud_);
  absl::Status written = stream_.Write(bytes, kWriteTimeout + on_wire);
  if (absl::IsDeadlineExceeded(written)) {
    return MakeError(ErrorCode::kPortFailed, "the port takes no more bytes");
  }
  return written;
}

void ComPortServer::ReleaseLines() {
  if (stream_.traits().has_modem_lines) stream_.SetLines(false, false).IgnoreError();
}

absl::StatusOr<std::optional<absl::Duration>> ComPortServer::SetControl(
    uint32_t value, std::vector<uint8_t>& answer) {
  uint32_t in_force = value;
  switch (value) {
    case kControlDtrOn:
    case kControlDtrOff:
    case kControlRtsOn:
    case kControlRtsOff: {
      ASSIGN_OR_RETURN(std::optional<absl::Duration> pause, SetLine(value, in_force));
      if (pause.has_value()) return pause;
      break;
    }
    case kControlAskDtr:
      in_force = sequencer_.asked().dtr ? kControlDtrOn : kControlDtrOff;
      break;
    case kControlAskRts:
      in_force = sequencer_.asked().rts ? kControlRtsOn : kControlRtsOff;
      break;
    case kControlAskBreak:
    case kControlBreakOn:
    case kControlBreakOff:
      in_force = kControlBreakOff;
      break;
    case kControlAskFlow:
    case kControlNoFlow:
    case kControlXonXoff:
    case kControlHardwareFlow:
    case kControlDcdFlow:
    case kControlDsrFlow:
      in_force = kControlNoFlow;
      break;
    case kControlAskInboundFlow:
    case kControlNoInboundFlow:
    case kControlInboundXonXoff:
    case kControlInboundHardwareFlow:
    case kControlInboundDtrFlow:
      in_force = kControlNoInboundFlow;
      break;
    default:
      return kDone;
  }
  AppendComPortAnswer(ComPortCommand::kSetControl, in_force, answer);
  return kDone;
}

absl::StatusOr<std::optional<absl::Duration>> ComPortServer::SetLine(uint32_t value,
                                                                     uint32_t& answer) {
  const bool dtr = value <= kControlDtrOff;
  const uint32_t on = dtr ? kControlDtrOn : kControlRtsOn;
  const uint32_t off = dtr ? kControlDtrOff : kControlRtsOff;
  if (!stream_.traits().has_modem_lines) {
    answer = off;
    return kDone;
  }
  const absl::Duration now = Now();
  const LineSequencer::Decision decision = sequencer_.Decide(
      dtr ? LineSequencer::Line::kDtr : LineSequencer::Line::kRts, value == on, now);
  if (decision.kind == LineSequencer::Decision::Kind::kWait) return decision.until - now;
  answer = value;
  if (decision.kind != LineSequencer::Decision::Kind::kApply) return kDone;
  absl::Status applied = ApplyLines(decision.state);
  if (applied.ok()) return kDone;
  if (!errors::Is(applied, ErrorCode::kPortFailed)) return applied;
  const LineState lines = sequencer_.asked();
  answer = (dtr ? lines.dtr : lines.rts) ? on : off;
  return kDone;
}

absl::Status ComPortServer::ApplyLines(LineState lines) {
  RETURN_IF_ERROR(stream_.SetLines(lines.dtr, lines.rts));
  sequencer_.Applied(lines, Now());
  return absl::OkStatus();
}

absl::Status ComPortServer::SetBaudRate(uint32_t baud) {
  if (baud < kMinBaud || baud > kMaxBaud || baud == baud_) return absl::OkStatus();
  RETURN_IF_ERROR(Drained().status());
  absl::Status set = stream_.SetBaudRate(baud);
  if (set.ok()) {
    baud_ = baud;
    return set;
  }
  const bool refused =
      errors::Is(set, ErrorCode::kBaudRateUnsupported) || errors::Is(set, ErrorCode::kPortFailed);
  return refused ? absl::OkStatus() : set;
}

absl::StatusOr<bool> ComPortServer::Drained() {
  absl::Status sent = stream_.Drain(kDrainTimeout);
  if (!sent.ok() && !absl::IsDeadlineExceeded(sent)) return sent;
  return sent.ok();
}

}  // namespace kiln::ports
