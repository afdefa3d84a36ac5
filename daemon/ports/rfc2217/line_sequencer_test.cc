#include "daemon/ports/rfc2217/line_sequencer.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using Kind = LineSequencer::Decision::Kind;
using Line = LineSequencer::Line;

// A client's request as it arrives: the line, and how long after the one before.
struct Request {
  Line line;
  bool on;
  int after_ms;
};

// Plays `requests`, each one waiting for the one before as on a stream, and writes down what the
// lines did: "0:01" is RTS alone from the start on.
std::string Play(const std::vector<Request>& requests) {
  LineSequencer sequencer;
  std::string text;
  absl::Duration arrives;
  absl::Duration now;
  const auto apply = [&](LineState state) {
    sequencer.Applied(state, now);
    absl::StrAppend(&text, text.empty() ? "" : " ", absl::ToInt64Milliseconds(now), ":", state.dtr,
                    state.rts);
  };
  const auto flush_until = [&](absl::Duration time) {
    if (const auto held = sequencer.held_until(); held.has_value() && *held <= time) {
      now = *held;
      apply(sequencer.asked());
    }
  };
  for (const Request& request : requests) {
    arrives += absl::Milliseconds(request.after_ms);
    flush_until(arrives);
    now = std::max(now, arrives);
    for (;;) {
      const auto decision = sequencer.Decide(request.line, request.on, now);
      if (decision.kind == Kind::kApply) apply(decision.state);
      if (decision.kind != Kind::kWait) break;
      now = decision.until;
    }
  }
  flush_until(absl::InfiniteDuration());
  return text;
}

struct SequenceCase {
  const char* name;
  std::vector<Request> requests;
  const char* lines;
};

TEST(LineSequencerTest, GivesSequencesTheirTimingBack) {
  constexpr Line D = Line::kDtr;
  constexpr Line R = Line::kRts;
  const SequenceCase cases[] = {
      {"into the loader as meant",
       {{D, false, 0}, {R, true, 0}, {D, true, 100}, {R, false, 0}, {D, false, 50}},
       "0:00 0:01 100:10 150:00"},
      {"all at once",
       {{D, false, 0}, {R, true, 0}, {D, true, 0}, {R, false, 0}, {D, false, 0}},
       "0:00 0:01 100:10 150:00"},
      {"stretched by a slow network",
       {{D, false, 0}, {R, true, 300}, {D, true, 400}, {R, false, 900}, {D, false, 700}},
       "0:00 300:01 1600:10 2300:00"},
      {"from both asserted, as some servers start",
       {{D, true, 0}, {R, true, 0}, {D, false, 5}, {D, true, 100}, {R, false, 60}, {D, false, 50}},
       "0:10 0:11 5:01 165:10 215:00"},
      {"a plain reset, too short", {{R, true, 0}, {R, false, 1}}, "0:01 100:00"},
      {"a plain reset, long", {{R, true, 0}, {R, false, 250}}, "0:01 250:00"},
      {"the long strap stays long",
       {{R, true, 0}, {D, true, 100}, {R, false, 0}, {D, false, 550}},
       "0:01 100:10 650:00"},
      {"both lines were meant", {{R, true, 0}, {D, true, 100}}, "0:01 2100:11"},
      {"both, and the rest much later",
       {{R, true, 0}, {D, true, 100}, {R, false, 3000}, {D, false, 100}},
       "0:01 2100:11 3100:10 3200:00"},
      {"a held DTR is taken back",
       {{R, true, 0}, {D, true, 10}, {D, false, 10}, {R, false, 100}},
       "0:01 120:00"},
      {"USB-JTAG's way through both",
       {{D, true, 0}, {R, true, 100}, {D, false, 0}, {R, false, 100}},
       "0:10 100:11 100:01 200:00"},
      {"the same again is nothing", {{D, false, 0}, {R, false, 0}, {D, false, 9}}, "0:00"},
      {"DTR alone outside of a reset is quick", {{D, true, 0}, {D, false, 1}}, "0:10 1:00"},
  };
  for (const SequenceCase& test : cases) EXPECT_EQ(Play(test.requests), test.lines) << test.name;
}

TEST(LineSequencerTest, TellsTheClientWhatItAskedForWhileItHolds) {
  LineSequencer sequencer;
  sequencer.Applied({false, true}, absl::ZeroDuration());
  EXPECT_EQ(sequencer.Decide(Line::kDtr, true, absl::Milliseconds(5)).kind, Kind::kHold);
  EXPECT_TRUE(sequencer.asked().dtr);
  EXPECT_TRUE(sequencer.held_until().has_value());
  sequencer.Applied({true, false}, absl::Milliseconds(100));
  EXPECT_FALSE(sequencer.held_until().has_value());
  EXPECT_EQ(sequencer.asked(), (LineState{true, false}));
}

}  // namespace
}  // namespace kiln::ports
