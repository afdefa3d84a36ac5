#ifndef KILN_DAEMON_PORTS_RFC2217_TELNET_H_
#define KILN_DAEMON_PORTS_RFC2217_TELNET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace kiln::ports {

// The parts of telnet that RFC 2217 stands on: commands within a stream of
// bytes (RFC 854), the agreement on options (RFC 855, RFC 1143) and
// subnegotiations. Pure functions and state machines over bytes; whoever owns
// one uses it on one thread.

// What is said of an option. WILL and WONT speak of the sender, DO and DONT of
// the receiver.
enum class TelnetVerb : uint8_t { kWill = 251, kWont = 252, kDo = 253, kDont = 254 };

inline constexpr uint8_t kTelnetBinary = 0;              // RFC 856
inline constexpr uint8_t kTelnetSuppressGoAhead = 3;     // RFC 858
inline constexpr uint8_t kTelnetComPort = 44;            // RFC 2217
inline constexpr size_t kMaxTelnetSubnegotiation = 256;  // longer ones are no use to anybody here

// Who is told what a decoder finds.
class TelnetSink {
 public:
  virtual ~TelnetSink() = default;
  // Bytes for the port, unescaped. Never empty.
  virtual void OnData(absl::Span<const uint8_t> bytes) = 0;
  virtual void OnNegotiation(TelnetVerb verb, uint8_t option) = 0;
  // At most kMaxTelnetSubnegotiation bytes of payload, unescaped.
  virtual void OnSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload) = 0;
};

// Takes a stream apart, whatever it holds and however it is cut into pieces.
// Other commands (NOP, AYT …) are skipped; a subnegotiation that is too long
// or is broken off by another command is dropped.
class TelnetDecoder {
 public:
  // `sink` must outlive the decoder.
  explicit TelnetDecoder(TelnetSink& sink) : sink_(sink) {}

  void Feed(absl::Span<const uint8_t> bytes);

 private:
  enum class State {
    kData,
    kCommand,         // after IAC
    kOption,          // after WILL, WONT, DO or DONT
    kSubOption,       // after SB
    kSubnegotiation,  // within one
    kSubCommand,      // after IAC within one
  };

  void Command(uint8_t byte);
  void AddToSubnegotiation(uint8_t byte);

  TelnetSink& sink_;
  State state_ = State::kData;
  TelnetVerb verb_ = TelnetVerb::kWont;
  uint8_t option_ = 0;
  bool too_long_ = false;
  std::vector<uint8_t> payload_;
};

// Who performs an option.
enum class TelnetSide { kLocal, kRemote };

// Which options are agreed on. Answers every change once and nothing else, so
// that two sides never answer each other for ever.
class TelnetOptions {
 public:
  // Lets the other side switch an option of `side` on.
  void Allow(TelnetSide side, uint8_t option);
  // Asks for an option, which is then allowed too; appends what is to be sent.
  void Request(TelnetSide side, uint8_t option, std::vector<uint8_t>& out);
  // What the other side said; appends the answer, if one is due.
  void On(TelnetVerb verb, uint8_t option, std::vector<uint8_t>& out);

  bool enabled(TelnetSide side, uint8_t option) const {
    return Of(side)[option].state == State::kOn;
  }
  // Asked for and not granted, or taken back.
  bool refused(TelnetSide side, uint8_t option) const {
    return Of(side)[option].state == State::kRefused;
  }

 private:
  enum class State : uint8_t { kOff, kAsked, kOn, kRefused };
  struct Entry {
    State state = State::kOff;
    bool allowed = false;
  };
  using Entries = std::array<Entry, 256>;

  const Entries& Of(TelnetSide side) const { return side == TelnetSide::kLocal ? local_ : remote_; }
  Entries& Of(TelnetSide side) { return side == TelnetSide::kLocal ? local_ : remote_; }

  Entries local_;
  Entries remote_;
};

// Appends to `out` what carries the arguments over the wire.
void AppendTelnetData(absl::Span<const uint8_t> bytes, std::vector<uint8_t>& out);
void AppendTelnetNegotiation(TelnetVerb verb, uint8_t option, std::vector<uint8_t>& out);
void AppendTelnetSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload,
                                std::vector<uint8_t>& out);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_TELNET_H_
