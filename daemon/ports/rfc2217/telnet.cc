#include "daemon/ports/rfc2217/telnet.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace kiln::ports {
namespace {

// RFC 854.
constexpr uint8_t kSubnegotiationEnd = 240;
constexpr uint8_t kSubnegotiationBegin = 250;
constexpr uint8_t kCommandFollows = 255;  // IAC; doubled, a byte of data

}  // namespace

void TelnetDecoder::Feed(absl::Span<const uint8_t> bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (state_ == State::kData) {
      // Whole runs of data at once.
      const auto* const begin = bytes.data() + at;
      const auto* const end = std::find(begin, bytes.data() + bytes.size(), kCommandFollows);
      const size_t count = static_cast<size_t>(end - begin);
      if (count > 0) sink_.OnData(bytes.subspan(at, count));
      at += count;
      if (at < bytes.size()) {
        state_ = State::kCommand;
        ++at;
      }
      continue;
    }
    const uint8_t byte = bytes[at++];
    switch (state_) {
      case State::kData:
        break;
      case State::kCommand:
        Command(byte);
        break;
      case State::kOption:
        state_ = State::kData;
        sink_.OnNegotiation(verb_, byte);
        break;
      case State::kSubOption:
        option_ = byte;
        state_ = State::kSubnegotiation;
        break;
      case State::kSubnegotiation:
        if (byte == kCommandFollows) {
          state_ = State::kSubCommand;
        } else {
          AddToSubnegotiation(byte);
        }
        break;
      case State::kSubCommand:
        if (byte == kCommandFollows) {
          state_ = State::kSubnegotiation;
          AddToSubnegotiation(byte);
        } else if (byte == kSubnegotiationEnd) {
          state_ = State::kData;
          if (!too_long_) sink_.OnSubnegotiation(option_, payload_);
        } else {
          Command(byte);  // its end was lost
        }
        break;
    }
  }
}

void TelnetDecoder::Command(uint8_t byte) {
  state_ = State::kData;
  switch (byte) {
    case kCommandFollows:
      sink_.OnData(absl::MakeConstSpan(&byte, 1));
      break;
    case kSubnegotiationBegin:
      payload_.clear();
      too_long_ = false;
      state_ = State::kSubOption;
      break;
    case static_cast<uint8_t>(TelnetVerb::kWill):
    case static_cast<uint8_t>(TelnetVerb::kWont):
    case static_cast<uint8_t>(TelnetVerb::kDo):
    case static_cast<uint8_t>(TelnetVerb::kDont):
      verb_ = static_cast<TelnetVerb>(byte);
      state_ = State::kOption;
      break;
    default:
      break;
  }
}

void TelnetDecoder::AddToSubnegotiation(uint8_t byte) {
  if (payload_.size() == kMaxTelnetSubnegotiation) {
    too_long_ = true;
  } else {
    payload_.push_back(byte);
  }
}

void TelnetOptions::Allow(TelnetSide side, uint8_t option) { Of(side)[option].allowed = true; }

void TelnetOptions::Request(TelnetSide side, uint8_t option, std::vector<uint8_t>& out) {
  Entry& entry = Of(side)[option];
  entry.allowed = true;
  if (entry.state == State::kOn || entry.state == State::kAsked) return;
  entry.state = State::kAsked;
  AppendTelnetNegotiation(side == TelnetSide::kLocal ? TelnetVerb::kWill : TelnetVerb::kDo, option,
                          out);
}

void TelnetOptions::On(TelnetVerb verb, uint8_t option, std::vector<uint8_t>& out) {
  // DO and DONT speak of what we do, WILL and WONT of what they do.
  const bool local = verb == TelnetVerb::kDo || verb == TelnetVerb::kDont;
  const bool on = verb == TelnetVerb::kDo || verb == TelnetVerb::kWill;
  const TelnetVerb yes = local ? TelnetVerb::kWill : TelnetVerb::kDo;
  const TelnetVerb no = local ? TelnetVerb::kWont : TelnetVerb::kDont;
  Entry& entry = Of(local ? TelnetSide::kLocal : TelnetSide::kRemote)[option];
  const State before = entry.state;
  if (on) {
    if (before == State::kOn) return;
    if (!entry.allowed) {
      AppendTelnetNegotiation(no, option, out);
      return;
    }
    entry.state = State::kOn;
    if (before != State::kAsked) AppendTelnetNegotiation(yes, option, out);
  } else {
    if (before == State::kOff || before == State::kRefused) return;
    entry.state = State::kRefused;
    if (before == State::kOn) AppendTelnetNegotiation(no, option, out);
  }
}

void AppendTelnetData(absl::Span<const uint8_t> bytes, std::vector<uint8_t>& out) {
  for (const uint8_t byte : bytes) {
    out.push_back(byte);
    if (byte == kCommandFollows) out.push_back(byte);
  }
}

void AppendTelnetNegotiation(TelnetVerb verb, uint8_t option, std::vector<uint8_t>& out) {
  out.insert(out.end(), {kCommandFollows, static_cast<uint8_t>(verb), option});
}

void AppendTelnetSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload,
                                std::vector<uint8_t>& out) {
  out.insert(out.end(), {kCommandFollows, kSubnegotiationBegin, option});
  AppendTelnetData(payload, out);
  out.insert(out.end(), {kCommandFollows, kSubnegotiationEnd});
}

}  // namespace kiln::ports
