#include "daemon/ports/rfc2217/rfc2217_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

constexpr uint32_t kFirstBaud = 115200;  // as every stream starts
// Any rate ByteStream allows.
constexpr uint32_t kMinBaud = 110;
constexpr uint32_t kMaxBaud = 12'000'000;
// As for a terminal of this computer (tty_stream.cc): the receiver must sample
// ten bits from one edge.
constexpr double kMaxBaudError = 0.03;
// Data is encoded and sent in pieces, so that little is left over when time
// runs out.
constexpr size_t kChunk = 4096;
// Like a UART's, the buffer for what nobody reads overruns in the end.
constexpr size_t kMaxInbox = size_t{1} << 20;
// An honest server answers each request once.
constexpr size_t kMaxAnswers = 64;
constexpr size_t kMaxShown = 120;

}  // namespace

Rfc2217Stream::Rfc2217Stream(base::UniqueFd fd, base::UniqueFd wakeup, std::string address,
                             const Timeouts& timeouts)
    : FdStream(std::move(fd), std::move(wakeup), std::move(address)),
      timeouts_(timeouts),
      decoder_(*this) {}

absl::StatusOr<std::unique_ptr<Rfc2217Stream>> Rfc2217Stream::Negotiate(base::UniqueFd fd,
                                                                        std::string address) {
  return Negotiate(std::move(fd), std::move(address), Timeouts());
}

absl::StatusOr<std::unique_ptr<Rfc2217Stream>> Rfc2217Stream::Negotiate(base::UniqueFd fd,
                                                                        std::string address,
                                                                        const Timeouts& timeouts) {
  ASSIGN_OR_RETURN(base::UniqueFd wakeup, MakeWakeup());
  std::unique_ptr<Rfc2217Stream> stream(
      new Rfc2217Stream(std::move(fd), std::move(wakeup), std::move(address), timeouts));
  RETURN_IF_ERROR(stream->Agree());
  RETURN_IF_ERROR(stream->SetUp());
  return stream;
}

absl::Status Rfc2217Stream::Agree() {
  for (const uint8_t option : {kTelnetComPort, kTelnetBinary, kTelnetSuppressGoAhead}) {
    options_.Request(TelnetSide::kLocal, option, outbox_);
  }
  options_.Request(TelnetSide::kRemote, kTelnetBinary, outbox_);
  options_.Request(TelnetSide::kRemote, kTelnetSuppressGoAhead, outbox_);
  // Some servers offer it themselves.
  options_.Allow(TelnetSide::kRemote, kTelnetComPort);

  const auto refused = [this] {
    return options_.refused(TelnetSide::kLocal, kTelnetComPort) ||
           options_.refused(TelnetSide::kLocal, kTelnetBinary) ||
           options_.refused(TelnetSide::kRemote, kTelnetBinary);
  };
  const auto agreed = [this] {
    return options_.enabled(TelnetSide::kLocal, kTelnetComPort) &&
           options_.enabled(TelnetSide::kLocal, kTelnetBinary) &&
           options_.enabled(TelnetSide::kRemote, kTelnetBinary);
  };
  const absl::Status status =
      Exchange(DeadlineIn(timeouts_.negotiation), [&] { return agreed() || refused(); });
  // What it says instead may be the reason, in words: "Port already in use".
  const absl::string_view text(reinterpret_cast<const char*>(inbox_.data()),
                               std::min(inbox_.size(), kMaxShown));
  const std::string said =
      text.empty() ? "" : absl::StrCat("; it says \"", absl::CHexEscape(text), "\"");
  if (errors::Is(status, ErrorCode::kBoardUnplugged)) {
    return MakeError(ErrorCode::kPortBusy,
                     absl::StrCat(address(),
                                  ": the server closed the connection at once, as one does that "
                                  "serves another client already",
                                  said));
  }
  if (absl::IsDeadlineExceeded(status)) {
    return MakeError(ErrorCode::kPortFailed,
                     absl::StrCat(address(), ": no RFC 2217 server answers there", said));
  }
  RETURN_IF_ERROR(status);
  if (refused()) {
    return MakeError(ErrorCode::kPortFailed,
                     absl::StrCat(address(), ": the server refuses ",
                                  options_.refused(TelnetSide::kLocal, kTelnetComPort)
                                      ? "to let its port be controlled (RFC 2217)"
                                      : "to pass all bytes on unchanged (telnet's BINARY option)",
                                  said));
  }
  return absl::OkStatus();
}

absl::Status Rfc2217Stream::SetUp() {
  struct Setting {
    ComPortCommand command;
    uint32_t value;
  };
  constexpr Setting kSettings[] = {{ComPortCommand::kSetDataSize, kDataSize8},
                                   {ComPortCommand::kSetParity, kParityNone},
                                   {ComPortCommand::kSetStopSize, kStopSize1},
                                   {ComPortCommand::kSetControl, kControlNoFlow}};
  for (const Setting& setting : kSettings) Ask(setting.command, setting.value);
  // Nobody here looks at them.
  Ask(ComPortCommand::kSetLineStateMask, 0);
  Ask(ComPortCommand::kSetModemStateMask, 0);
  // Requests are answered in order, so the last answer ends the wait for all.
  RETURN_IF_ERROR(SetBaudRate(kFirstBaud));
  for (const Setting& setting : kSettings) {
    const std::optional<uint32_t> answer = AnswerTo(setting.command);
    if (answer.has_value() && *answer != setting.value) {
      return MakeError(ErrorCode::kPortFailed,
                       absl::StrCat(address(), ": the server answers ", *answer, " to ",
                                    ComPortCommandName(setting.command), " ", setting.value));
    }
  }
  const absl::Duration start = base::SystemClock().Monotonic();
  Ask(ComPortCommand::kPurgeData, kPurgeBoth);
  RETURN_IF_ERROR(AwaitAnswer(ComPortCommand::kPurgeData).status());
  round_trip_ = base::SystemClock().Monotonic() - start;
  inbox_.clear();
  inbox_read_ = 0;
  return absl::OkStatus();
}

LinkTraits Rfc2217Stream::traits() const {
  return {.kind = LinkKind::kRemoteSerial,
          .has_modem_lines = true,
          .has_baud_rate = true,
          .round_trip = round_trip_};
}

absl::StatusOr<size_t> Rfc2217Stream::Read(absl::Span<uint8_t> buffer, absl::Duration timeout) {
  if (buffer.empty()) return absl::InvalidArgumentError("the buffer is empty");
  const auto some = [this] { return inbox_read_ < inbox_.size(); };
  if (some()) {
    // An interrupt comes first; that the far end is gone comes after its last
    // words.
    absl::Status status = Await(0, DeadlineIn(absl::ZeroDuration()));
    if (absl::IsCancelled(status)) return status;
  } else {
    RETURN_IF_ERROR(CheckAlive());
    absl::Status status = Exchange(DeadlineIn(timeout), some);
    if (!status.ok() && !some()) return status;
  }
  const size_t count = std::min(buffer.size(), inbox_.size() - inbox_read_);
  std::memcpy(buffer.data(), inbox_.data() + inbox_read_, count);
  inbox_read_ += count;
  if (inbox_read_ == inbox_.size()) {
    inbox_.clear();
    inbox_read_ = 0;
  }
  return count;
}

absl::Status Rfc2217Stream::Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) {
  RETURN_IF_ERROR(CheckAlive());
  const absl::Duration deadline = DeadlineIn(timeout);
  while (!bytes.empty()) {
    RETURN_IF_ERROR(Exchange(deadline, [this] { return !suspended_; }));
    const size_t count = std::min(bytes.size(), kChunk);
    AppendTelnetData(bytes.first(count), outbox_);
    bytes.remove_prefix(count);
  }
  return Exchange(deadline, [] { return true; });
}

absl::Status Rfc2217Stream::Drain(absl::Duration timeout) {
  RETURN_IF_ERROR(CheckAlive());
  // Any request would do: the server comes to it after the bytes before it.
  constexpr uint32_t kTellOnly = 0;
  Ask(ComPortCommand::kSetBaudRate, kTellOnly);
  return Exchange(DeadlineIn(timeout),
                  [this] { return AnswerTo(ComPortCommand::kSetBaudRate).has_value(); });
}

absl::Status Rfc2217Stream::DiscardInput() {
  RETURN_IF_ERROR(CheckAlive());
  Ask(ComPortCommand::kPurgeData, kPurgeReceive);
  RETURN_IF_ERROR(AwaitAnswer(ComPortCommand::kPurgeData).status());
  inbox_.clear();
  inbox_read_ = 0;
  return absl::OkStatus();
}

absl::Status Rfc2217Stream::SetBaudRate(uint32_t baud) {
  RETURN_IF_ERROR(CheckAlive());
  if (baud < kMinBaud || baud > kMaxBaud) {
    return MakeError(ErrorCode::kBaudRateUnsupported,
                     absl::StrCat(address(), ": ", baud, " baud is out of range"));
  }
  if (baud == baud_) return absl::OkStatus();
  baud_ = 0;
  Ask(ComPortCommand::kSetBaudRate, baud);
  ASSIGN_OR_RETURN(const uint32_t answer, AwaitAnswer(ComPortCommand::kSetBaudRate));
  const double error = static_cast<double>(answer) / baud - 1;
  if (error > kMaxBaudError || error < -kMaxBaudError) {
    return MakeError(
        ErrorCode::kBaudRateUnsupported,
        absl::StrCat(address(), ": asked for ", baud, " baud, the server stays at ", answer));
  }
  baud_ = baud;
  return absl::OkStatus();
}

absl::Status Rfc2217Stream::SetLines(bool dtr, bool rts) {
  RETURN_IF_ERROR(CheckAlive());
  const bool ask_dtr = dtr_ != dtr;
  const bool ask_rts = rts_ != rts;
  if (!ask_dtr && !ask_rts) return absl::OkStatus();
  const uint32_t dtr_value = dtr ? kControlDtrOn : kControlDtrOff;
  const uint32_t rts_value = rts ? kControlRtsOn : kControlRtsOff;
  answers_.clear();
  if (ask_dtr) AppendComPortRequest(ComPortCommand::kSetControl, dtr_value, outbox_);
  if (ask_rts) AppendComPortRequest(ComPortCommand::kSetControl, rts_value, outbox_);
  dtr_ = dtr;
  rts_ = rts;
  if (acknowledges_lines_ == false) {
    return NoAnswer(Exchange(DeadlineIn(timeouts_.answer), [] { return true; }), "SET-CONTROL");
  }
  const auto of_dtr = [this] {
    return AnswerTo(ComPortCommand::kSetControl, kControlDtrOn, kControlDtrOff);
  };
  const auto of_rts = [this] {
    return AnswerTo(ComPortCommand::kSetControl, kControlRtsOn, kControlRtsOff);
  };
  const bool known = acknowledges_lines_.has_value();
  const absl::Status status =
      Exchange(DeadlineIn(known ? timeouts_.answer : timeouts_.first_lines + 2 * round_trip_),
               [&] { return (!ask_dtr || of_dtr()) && (!ask_rts || of_rts()); });
  if (absl::IsDeadlineExceeded(status) && !known) {
    acknowledges_lines_ = false;
    return absl::OkStatus();
  }
  if (!status.ok()) {
    // How the lines are is not known any more.
    dtr_.reset();
    rts_.reset();
    return NoAnswer(status, "SET-CONTROL");
  }
  acknowledges_lines_ = true;
  for (const auto& [asked, answer, wanted, line] :
       {std::tuple(ask_dtr, of_dtr(), dtr_value, "DTR"),
        std::tuple(ask_rts, of_rts(), rts_value, "RTS")}) {
    if (!asked || answer == wanted) continue;
    dtr_.reset();
    rts_.reset();
    return MakeError(ErrorCode::kPortFailed,
                     absl::StrCat(address(), ": the server refuses to set ", line));
  }
  return absl::OkStatus();
}

void Rfc2217Stream::OnData(absl::Span<const uint8_t> bytes) {
  const size_t room = kMaxInbox - std::min(kMaxInbox, inbox_.size());
  bytes = bytes.first(std::min(room, bytes.size()));
  inbox_.insert(inbox_.end(), bytes.begin(), bytes.end());
}

void Rfc2217Stream::OnNegotiation(TelnetVerb verb, uint8_t option) {
  // Answers to a server that never stops asking and never reads are not kept.
  if (outbox_.size() < 4 * kChunk) options_.On(verb, option, outbox_);
}

void Rfc2217Stream::OnSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload) {
  if (option != kTelnetComPort) return;
  std::optional<ComPortMessage> message = ParseComPort(payload);
  if (!message.has_value() || !message->from_server) return;
  if (message->command == ComPortCommand::kFlowControlSuspend) {
    suspended_ = true;
  } else if (message->command == ComPortCommand::kFlowControlResume) {
    suspended_ = false;
  } else if (message->value.has_value() && answers_.size() < kMaxAnswers) {
    answers_.push_back(*std::move(message));
  }
}

absl::Status Rfc2217Stream::Exchange(absl::Duration deadline, absl::FunctionRef<bool()> done) {
  for (;;) {
    RETURN_IF_ERROR(SendSome());
    if (outbox_.empty() && done()) return absl::OkStatus();
    const int events = POLLIN | (outbox_.empty() ? 0 : POLLOUT);
    RETURN_IF_ERROR(Await(static_cast<short>(events), deadline));
    RETURN_IF_ERROR(ReceiveSome());
  }
}

absl::Status Rfc2217Stream::SendSome() {
  size_t sent = 0;
  while (sent < outbox_.size()) {
    const ssize_t count =
        ::send(fd(), outbox_.data() + sent, outbox_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return Failure("sending", errno);
    }
  }
  outbox_.erase(outbox_.begin(), outbox_.begin() + static_cast<ptrdiff_t>(sent));
  return absl::OkStatus();
}

absl::Status Rfc2217Stream::ReceiveSome() {
  std::array<uint8_t, size_t{16} * 1024> buffer;
  const ssize_t count = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count > 0) {
    decoder_.Feed(absl::MakeConstSpan(buffer).first(static_cast<size_t>(count)));
    return absl::OkStatus();
  }
  if (count == 0) return Gone("the server closed the connection");
  if (errno == EAGAIN || errno == EINTR) return absl::OkStatus();
  return Failure("receiving", errno);
}

void Rfc2217Stream::Ask(ComPortCommand command, std::optional<uint32_t> value) {
  // Late answers to earlier requests are no answers to this one; those that are
  // still awaited are asked for together.
  if (outbox_.empty()) answers_.clear();
  AppendComPortRequest(command, value, outbox_);
}

std::optional<uint32_t> Rfc2217Stream::AnswerTo(ComPortCommand command, uint32_t low,
                                                uint32_t high) const {
  for (auto it = answers_.rbegin(); it != answers_.rend(); ++it) {
    if (it->command == command && *it->value >= low && *it->value <= high) return it->value;
  }
  return std::nullopt;
}

absl::StatusOr<uint32_t> Rfc2217Stream::AwaitAnswer(ComPortCommand command) {
  RETURN_IF_ERROR(NoAnswer(
      Exchange(DeadlineIn(timeouts_.answer), [&] { return AnswerTo(command).has_value(); }),
      ComPortCommandName(command)));
  return *AnswerTo(command);
}

absl::Status Rfc2217Stream::NoAnswer(const absl::Status& status, absl::string_view what) const {
  if (!absl::IsDeadlineExceeded(status)) return status;
  return MakeError(ErrorCode::kPortFailed,
                   absl::StrCat(address(), ": the server does not acknowledge ", what));
}

}  // namespace kiln::ports
