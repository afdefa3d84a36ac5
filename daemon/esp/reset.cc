#include "daemon/esp/reset.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::esp {
namespace {

constexpr absl::Duration kNoHold = absl::ZeroDuration();
constexpr absl::Duration kResetHold = absl::Milliseconds(100);
// How long GPIO0 stays low after EN rises; the long form is for boards whose EN capacitor is large.
constexpr absl::Duration kShortStrap = absl::Milliseconds(50);
constexpr absl::Duration kLongStrap = absl::Milliseconds(550);
constexpr absl::Duration kUsbResetHold = absl::Milliseconds(200);

// Both lines change in one operation, so the step over (asserted, asserted) hides the moment in
// which some drivers would raise EN too early.
constexpr LineStep kUnixTightShort[] = {{false, false, kNoHold},
                                        {true, true, kNoHold},
                                        {false, true, kResetHold},
                                        {true, false, kShortStrap},
                                        {false, false, kNoHold}};
constexpr LineStep kUnixTightLong[] = {{false, false, kNoHold},
                                       {true, true, kNoHold},
                                       {false, true, kResetHold},
                                       {true, false, kLongStrap},
                                       {false, false, kNoHold}};
// One line after the other, as adapters and circuits expect that cannot follow the tight form.
constexpr LineStep kClassicShort[] = {{false, false, kNoHold},
                                      {false, true, kResetHold},
                                      {true, true, kNoHold},
                                      {true, false, kShortStrap},
                                      {false, false, kNoHold}};
constexpr LineStep kClassicLong[] = {{false, false, kNoHold},
                                     {false, true, kResetHold},
                                     {true, true, kNoHold},
                                     {true, false, kLongStrap},
                                     {false, false, kNoHold}};
// The same for a port of another computer, where the lines may still be asserted in any way: it
// begins with the reset itself. A request to release both lines first would be a reset of its own
// to a server that recognises sequences and runs them at its side, as Espressif's does.
constexpr LineStep kDirectShort[] = {{false, true, kResetHold},
                                     {true, true, kNoHold},
                                     {true, false, kShortStrap},
                                     {false, false, kNoHold}};
constexpr LineStep kDirectLong[] = {{false, true, kResetHold},
                                    {true, true, kNoHold},
                                    {true, false, kLongStrap},
                                    {false, false, kNoHold}};
// The same steps reach the program of a chip on its own USB-OTG, where no line leads: it takes line
// states as commands and itself starts the loader. ESP-IDF's USB console does so when RTS is
// released while DTR is asserted, and starts anew when it is released alone, so that a sequence
// which begins with both released sends the program away (usb_console.c, line state callback);
// Arduino's USBCDC wants just these four states one after the other (USBCDC.cpp, _onLineState).

// The peripheral reads the lines as commands: from download state to reset the way leads through
// (asserted, asserted), never through (released, released).
constexpr LineStep kUsbJtag[] = {{false, false, kResetHold},
                                 {true, false, kResetHold},
                                 {true, true, kNoHold},
                                 {false, true, kResetHold},
                                 {false, false, kNoHold}};

constexpr LineStep kHardResetUart[] = {{false, true, kResetHold}, {false, false, kNoHold}};
constexpr LineStep kHardResetUsb[] = {{false, true, kUsbResetHold}, {false, false, kUsbResetHold}};

}  // namespace

absl::Span<const ResetSequence> LoaderResetSequences(const ports::LinkTraits& traits) {
  static constexpr ResetSequence kUart[] = {{"UnixTight 50 ms", kUnixTightShort},
                                            {"UnixTight 550 ms", kUnixTightLong},
                                            {"Classic 50 ms", kClassicShort},
                                            {"Classic 550 ms", kClassicLong}};
  static constexpr ResetSequence kUsb[] = {{"USB-JTAG", kUsbJtag}};
  static constexpr ResetSequence kRemote[] = {{"Classic 50 ms", kDirectShort},
                                              {"Classic 550 ms", kDirectLong}};
  static constexpr ResetSequence kOtg[] = {{"USB-OTG 50 ms", kDirectShort},
                                           {"USB-OTG 550 ms", kDirectLong}};
  if (!traits.has_modem_lines) return {};
  switch (traits.kind) {
    case ports::LinkKind::kUsbSerialJtag:
      return kUsb;
    case ports::LinkKind::kRemoteSerial:
      return kRemote;
    case ports::LinkKind::kUsbOtg:
      return kOtg;
    case ports::LinkKind::kUartBridge:
    case ports::LinkKind::kPseudoTerminal:
    case ports::LinkKind::kSocket:
      return kUart;
  }
  return kUart;
}

const ResetSequence& HardReset(const ports::LinkTraits& traits) {
  static constexpr ResetSequence kUart = {"hard reset", kHardResetUart};
  static constexpr ResetSequence kUsb = {"USB hard reset", kHardResetUsb};
  const bool usb =
      traits.kind == ports::LinkKind::kUsbSerialJtag || traits.kind == ports::LinkKind::kUsbOtg;
  return usb ? kUsb : kUart;
}

absl::Status RunResetSequence(const ResetSequence& sequence, ports::ByteStream& stream,
                              base::Clock& clock) {
  for (const LineStep& step : sequence.steps) {
    RETURN_IF_ERROR(stream.SetLines(step.dtr, step.rts))
        << "reset sequence " << std::string(sequence.name);
    clock.Sleep(step.hold);
  }
  return absl::OkStatus();
}

}  // namespace kiln::esp
