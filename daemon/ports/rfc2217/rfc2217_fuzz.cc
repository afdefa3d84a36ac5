// What a hostile peer can send: telnet's commands, the agreement on options, the com port option's
// messages, and line changes at any pace. Aborts when a promise of theirs does not hold.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/line_sequencer.h"
#include "daemon/ports/rfc2217/telnet.h"

namespace kiln::ports {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// Answers like either end does, and plays every line change against a board.
class Peer final : public TelnetSink {
 public:
  Peer() {
    for (const TelnetSide side : {TelnetSide::kLocal, TelnetSide::kRemote}) {
      options_.Request(side, kTelnetBinary, out);
      options_.Allow(side, kTelnetComPort);
    }
  }

  void OnData(absl::Span<const uint8_t> bytes) override {
    Require(!bytes.empty());
    data.insert(data.end(), bytes.begin(), bytes.end());
    now_ += absl::Milliseconds(bytes[0]);
  }
  void OnNegotiation(TelnetVerb verb, uint8_t option) override {
    const size_t before = out.size();
    options_.On(verb, option, out);
    Require(out.size() <= before + 3);  // an answer is never longer than the question
  }
  void OnSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload) override {
    Require(payload.size() <= kMaxTelnetSubnegotiation);
    const std::optional<ComPortMessage> message = ParseComPort(payload);
    if (!message.has_value()) return;
    Require(!ComPortCommandName(message->command).empty());
    if (message->command != ComPortCommand::kSignature) {
      // What was understood can be said again, and is the same.
      std::vector<uint8_t> wire;
      if (message->from_server) {
        AppendComPortAnswer(message->command, message->value, wire);
      } else {
        AppendComPortRequest(message->command, message->value, wire);
      }
      Echo echo(payload);
      TelnetDecoder(echo).Feed(wire);
      Require(echo.same);
    }
    if (option == kTelnetComPort && message->command == ComPortCommand::kSetControl) {
      ChangeLine(*message->value);
    }
  }

  std::vector<uint8_t> out;
  std::vector<uint8_t> data;

 private:
  struct Echo final : TelnetSink {
    explicit Echo(absl::Span<const uint8_t> payload) : wanted(payload) {}
    void OnData(absl::Span<const uint8_t>) override { std::abort(); }
    void OnNegotiation(TelnetVerb, uint8_t) override { std::abort(); }
    void OnSubnegotiation(uint8_t, absl::Span<const uint8_t> payload) override {
      same = payload == wanted;
    }
    absl::Span<const uint8_t> wanted;
    bool same = false;
  };

  void ChangeLine(uint32_t value) {
    if (value != kControlDtrOn && value != kControlDtrOff && value != kControlRtsOn &&
        value != kControlRtsOff) {
      return;
    }
    using Kind = LineSequencer::Decision::Kind;
    const auto line =
        value <= kControlDtrOff ? LineSequencer::Line::kDtr : LineSequencer::Line::kRts;
    const bool on = value == kControlDtrOn || value == kControlRtsOn;
    LineSequencer::Decision decision = lines_.Decide(line, on, now_);
    if (decision.kind == Kind::kWait) {
      Require(decision.until > now_ && decision.until <= now_ + absl::Milliseconds(100));
      now_ = decision.until;
      decision = lines_.Decide(line, on, now_);
      Require(decision.kind != Kind::kWait);
    }
    if (decision.kind == Kind::kApply) lines_.Applied(decision.state, now_);
    const LineState asked = lines_.asked();
    Require((line == LineSequencer::Line::kDtr ? asked.dtr : asked.rts) == on);
  }

  TelnetOptions options_;
  LineSequencer lines_;
  absl::Duration now_;
};

}  // namespace
}  // namespace kiln::ports

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::Span<const uint8_t> input(data, size);
  kiln::ports::Peer whole;
  kiln::ports::TelnetDecoder(whole).Feed(input);
  // However it is cut, it means the same.
  kiln::ports::Peer pieces;
  kiln::ports::TelnetDecoder decoder(pieces);
  for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece % 7 + 1) {
    decoder.Feed(input.subspan(at, piece));
  }
  kiln::ports::Require(whole.data == pieces.data && whole.out == pieces.out);
  return 0;
}
