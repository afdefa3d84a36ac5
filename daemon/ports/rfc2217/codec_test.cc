// The wire of RFC 2217 as tables: telnet's commands, the agreement on options, the com port
// option's messages.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/ports/rfc2217/com_port.h"
#include "daemon/ports/rfc2217/telnet.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using Bytes = std::vector<uint8_t>;
using ::testing::IsEmpty;

Bytes FromHex(absl::string_view hex) {
  const std::string raw = absl::HexStringToBytes(hex);
  return Bytes(raw.begin(), raw.end());
}

std::string ToHex(absl::Span<const uint8_t> bytes) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// Writes down what it is told, data that follows data as one.
class Recorder final : public TelnetSink {
 public:
  void OnData(absl::Span<const uint8_t> bytes) override {
    if (!was_data_) absl::StrAppend(&text, text.empty() ? "" : " ", "data:");
    absl::StrAppend(&text, ToHex(bytes));
    was_data_ = true;
  }
  void OnNegotiation(TelnetVerb verb, uint8_t option) override {
    Add(absl::StrCat(verb == TelnetVerb::kWill   ? "will:"
                     : verb == TelnetVerb::kWont ? "wont:"
                     : verb == TelnetVerb::kDo   ? "do:"
                                                 : "dont:",
                     static_cast<int>(option)));
  }
  void OnSubnegotiation(uint8_t option, absl::Span<const uint8_t> payload) override {
    Add(absl::StrCat("sub:", static_cast<int>(option), ":", ToHex(payload)));
  }
  std::string text;

 private:
  void Add(const std::string& what) {
    absl::StrAppend(&text, text.empty() ? "" : " ", what);
    was_data_ = false;
  }
  bool was_data_ = false;
};

struct DecodeCase {
  const char* name;
  const char* wire;
  const char* found;
};

const DecodeCase kDecodeCases[] = {
    {"nothing", "", ""},
    {"plain bytes", "00c07e0d0a", "data:00c07e0d0a"},
    {"a doubled IAC is one byte", "41ffff42", "data:41ff42"},
    {"only doubled IACs", "ffffffff", "data:ffff"},
    {"all four verbs", "fffb2cfffc00fffd03fffe01", "will:44 wont:0 do:3 dont:1"},
    {"an option numbered like IAC", "fffdff41", "do:255 data:41"},
    {"commands without meaning here", "41fff142fff643", "data:414243"},
    {"a rate", "fffa2c650001c200fff0", "sub:44:650001c200"},
    {"a value that holds IAC", "fffa2c01ffffffff00fff0", "sub:44:01ffff00"},
    {"an empty subnegotiation", "fffa2cfff0", "sub:44:"},
    {"another option", "fffa1800fff0", "sub:24:00"},
    {"data around it", "41fffa2c0cfff042", "data:41 sub:44:0c data:42"},
    {"its end was lost before a verb", "fffa2c01fffb0041", "will:0 data:41"},
    {"its end was lost before the next", "fffa2c01fffa2c0c01fff0", "sub:44:0c01"},
    {"an end without a beginning", "41fff042", "data:4142"},
    {"SB and SE as plain data", "faf0", "data:faf0"},
    {"broken off at the end", "41fffa2c01", "data:41"},
};

TEST(TelnetDecoderTest, TakesTheWireApartHoweverItIsCut) {
  for (const DecodeCase& test : kDecodeCases) {
    const Bytes wire = FromHex(test.wire);
    for (size_t piece : {wire.size() + 1, size_t{1}, size_t{2}, size_t{3}}) {
      Recorder recorder;
      TelnetDecoder decoder(recorder);
      for (size_t at = 0; at < wire.size(); at += piece) {
        decoder.Feed(absl::MakeConstSpan(wire).subspan(at, piece));
      }
      EXPECT_EQ(recorder.text, test.found) << test.name << " in pieces of " << piece;
    }
  }
}

TEST(TelnetDecoderTest, DropsASubnegotiationThatIsTooLongAndGoesOn) {
  for (const size_t size :
       {kMaxTelnetSubnegotiation, kMaxTelnetSubnegotiation + 1, size_t{100000}}) {
    Bytes wire;
    AppendTelnetSubnegotiation(kTelnetComPort, Bytes(size, 0xff), wire);
    wire.push_back('x');
    Recorder recorder;
    TelnetDecoder(recorder).Feed(wire);
    if (size > kMaxTelnetSubnegotiation) {
      EXPECT_EQ(recorder.text, "data:78");
    } else {
      EXPECT_EQ(recorder.text, absl::StrCat("sub:44:", ToHex(Bytes(size, 0xff)), " data:78"));
    }
  }
}

TEST(TelnetDecoderTest, ReadsWhatIsWritten) {
  Bytes all(256);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i);
  Bytes wire;
  AppendTelnetData(all, wire);
  EXPECT_EQ(wire.size(), 257u);
  Recorder recorder;
  TelnetDecoder(recorder).Feed(wire);
  EXPECT_EQ(recorder.text, "data:" + ToHex(all));
}

// What the other side says ("will:44"), and what we answer.
struct NegotiationCase {
  const char* name;
  std::vector<std::pair<TelnetVerb, uint8_t>> said;
  const char* answers;  // hex
};

TEST(TelnetOptionsTest, AnswersEachChangeOnce) {
  using V = TelnetVerb;
  // Asked for: we will do 44, they shall do 0. Allowed besides: that they do 44.
  const NegotiationCase cases[] = {
      {"granted", {{V::kDo, 44}, {V::kWill, 0}}, ""},
      {"granted twice", {{V::kDo, 44}, {V::kDo, 44}}, ""},
      {"refused", {{V::kDont, 44}, {V::kWont, 0}}, ""},
      {"refused, then granted", {{V::kDont, 44}, {V::kDo, 44}}, "fffb2c"},
      {"taken back", {{V::kDo, 44}, {V::kDont, 44}, {V::kDont, 44}}, "fffc2c"},
      {"offered what is allowed", {{V::kWill, 44}, {V::kWill, 44}}, "fffd2c"},
      {"offered what is not", {{V::kWill, 1}}, "fffe01"},
      {"asked for what is not", {{V::kDo, 24}}, "fffc18"},
      {"said no to what was never on", {{V::kWont, 1}, {V::kDont, 24}}, ""},
  };
  for (const NegotiationCase& test : cases) {
    TelnetOptions options;
    Bytes out;
    options.Request(TelnetSide::kLocal, 44, out);
    options.Request(TelnetSide::kRemote, 0, out);
    options.Request(TelnetSide::kRemote, 0, out);
    options.Allow(TelnetSide::kRemote, 44);
    ASSERT_EQ(ToHex(out), "fffb2cfffd00");
    out.clear();
    for (const auto& [verb, option] : test.said) options.On(verb, option, out);
    EXPECT_EQ(ToHex(out), test.answers) << test.name;
  }
}

TEST(TelnetOptionsTest, KnowsWhatIsAgreed) {
  TelnetOptions options;
  Bytes out;
  options.Request(TelnetSide::kLocal, kTelnetComPort, out);
  EXPECT_FALSE(options.enabled(TelnetSide::kLocal, kTelnetComPort));
  options.On(TelnetVerb::kDo, kTelnetComPort, out);
  EXPECT_TRUE(options.enabled(TelnetSide::kLocal, kTelnetComPort));
  EXPECT_FALSE(options.enabled(TelnetSide::kRemote, kTelnetComPort));
  options.On(TelnetVerb::kDont, kTelnetComPort, out);
  EXPECT_FALSE(options.enabled(TelnetSide::kLocal, kTelnetComPort));
  EXPECT_TRUE(options.refused(TelnetSide::kLocal, kTelnetComPort));
}

TEST(TelnetOptionsTest, TwoSidesAgreeAndFallSilent) {
  TelnetOptions client;
  TelnetOptions server;
  Bytes to_server;
  Bytes to_client;
  for (const uint8_t option : {kTelnetBinary, kTelnetSuppressGoAhead, kTelnetComPort}) {
    client.Request(TelnetSide::kLocal, option, to_server);
    client.Request(TelnetSide::kRemote, option, to_server);
    server.Request(TelnetSide::kLocal, option, to_client);
    server.Request(TelnetSide::kRemote, option, to_client);
  }
  struct Side final : TelnetSink {
    Side(TelnetOptions& own, Bytes& answers) : options(own), out(answers) {}
    void OnData(absl::Span<const uint8_t>) override {}
    void OnNegotiation(TelnetVerb verb, uint8_t option) override { options.On(verb, option, out); }
    void OnSubnegotiation(uint8_t, absl::Span<const uint8_t>) override {}
    TelnetOptions& options;
    Bytes& out;
  };
  for (int round = 0; round < 4; ++round) {
    const Bytes for_server = std::move(to_server);
    const Bytes for_client = std::move(to_client);
    to_server.clear();
    to_client.clear();
    Side client_side(client, to_server);
    Side server_side(server, to_client);
    TelnetDecoder(server_side).Feed(for_server);
    TelnetDecoder(client_side).Feed(for_client);
  }
  EXPECT_THAT(to_server, IsEmpty());
  EXPECT_THAT(to_client, IsEmpty());
  EXPECT_TRUE(client.enabled(TelnetSide::kRemote, kTelnetBinary));
  EXPECT_TRUE(server.enabled(TelnetSide::kRemote, kTelnetComPort));
}

struct MessageCase {
  const char* payload;
  ComPortCommand command;
  bool from_server;
  std::optional<uint32_t> value;
};

const MessageCase kMessageCases[] = {
    {"010001c200", ComPortCommand::kSetBaudRate, false, 115200},
    {"65000e1000", ComPortCommand::kSetBaudRate, true, 921600},
    {"01ffffffff", ComPortCommand::kSetBaudRate, false, 0xffffffff},
    {"0100000000", ComPortCommand::kSetBaudRate, false, 0},
    {"0208", ComPortCommand::kSetDataSize, false, 8},
    {"6701", ComPortCommand::kSetParity, true, 1},
    {"0401", ComPortCommand::kSetStopSize, false, 1},
    {"0508", ComPortCommand::kSetControl, false, kControlDtrOn},
    {"690c", ComPortCommand::kSetControl, true, kControlRtsOff},
    {"06", ComPortCommand::kNotifyLineState, false, std::nullopt},
    {"6a60", ComPortCommand::kNotifyLineState, true, kLineStateSent},
    {"07", ComPortCommand::kNotifyModemState, false, std::nullopt},
    {"6bb0", ComPortCommand::kNotifyModemState, true, 0xb0},
    {"08", ComPortCommand::kFlowControlSuspend, false, std::nullopt},
    {"6d", ComPortCommand::kFlowControlResume, true, std::nullopt},
    {"0a00", ComPortCommand::kSetLineStateMask, false, 0},
    {"0bff", ComPortCommand::kSetModemStateMask, false, 255},
    {"0c03", ComPortCommand::kPurgeData, false, kPurgeBoth},
    {"7001", ComPortCommand::kPurgeData, true, kPurgeReceive},
};

TEST(ComPortTest, ReadsAndWritesEveryMessage) {
  for (const MessageCase& test : kMessageCases) {
    const auto message = ParseComPort(FromHex(test.payload));
    ASSERT_TRUE(message.has_value()) << test.payload;
    EXPECT_EQ(message->command, test.command) << test.payload;
    EXPECT_EQ(message->from_server, test.from_server) << test.payload;
    EXPECT_EQ(message->value, test.value) << test.payload;
    EXPECT_NE(ComPortCommandName(message->command), "unknown");

    Bytes wire;
    if (test.from_server) {
      AppendComPortAnswer(test.command, test.value, wire);
    } else {
      AppendComPortRequest(test.command, test.value, wire);
    }
    Recorder recorder;
    TelnetDecoder(recorder).Feed(wire);
    EXPECT_EQ(recorder.text, absl::StrCat("sub:44:", test.payload));
  }
}

TEST(ComPortTest, CarriesSignatures) {
  const auto asked = ParseComPort(FromHex("00"));
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->signature, "");
  Bytes wire;
  AppendComPortSignature(std::string(500, 'k'), wire);
  Recorder recorder;
  TelnetDecoder(recorder).Feed(wire);
  EXPECT_EQ(recorder.text, "sub:44:64" + ToHex(Bytes(200, 'k')));
}

TEST(ComPortTest, RefusesWhatIsNoWholeMessage) {
  for (const char* payload :
       {"", "0d", "63", "71", "ff", "01", "010001c2", "010001c20000", "02", "020808", "05",
        "0501ff", "6a", "6b", "0800", "0900", "0c", "0c0101"}) {
    EXPECT_FALSE(ParseComPort(FromHex(payload)).has_value()) << payload;
  }
}

}  // namespace
}  // namespace kiln::ports
