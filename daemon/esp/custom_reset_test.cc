#include "daemon/esp/custom_reset.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using ::testing::HasSubstr;

// "01:100 10:50 00:0": DTR, RTS and the hold in milliseconds.
std::string StepsOf(const std::string& text) {
  const auto reset = CustomReset::Parse(text);
  if (!reset.ok()) return reset.status().ToString();
  std::string steps;
  for (const LineStep& step : reset->sequence().steps) {
    absl::StrAppend(&steps, steps.empty() ? "" : " ", step.dtr, step.rts, ":",
                    absl::ToInt64Milliseconds(step.hold));
  }
  return steps;
}

TEST(CustomResetTest, ReadsSequencesAsEsptoolWritesThem) {
  EXPECT_EQ(StepsOf("D0|R1|W0.1|D1|R0|W0.05|D0"), "00:0 01:100 11:0 10:50 00:0");
  EXPECT_EQ(StepsOf("U0,0|U1,1|U0,1|W0.1|U1,0|W0.05|U0,0|D0"), "00:0 11:0 01:100 10:50 00:0 00:0");
  EXPECT_EQ(StepsOf("R1|W1|W0.5|R0"), "01:1500 00:0");
  EXPECT_EQ(StepsOf("R1|W9|R0|W1"), "01:9000 00:1000");
  EXPECT_EQ(CustomReset::Parse("R1|R0")->text(), "R1|R0");
}

struct BadCase {
  std::string text;
  const char* why;
};

TEST(CustomResetTest, SaysWhereAndWhatIsWrong) {
  std::string many = "R1";
  for (int i = 0; i < 64; ++i) many += "|R1";
  for (const BadCase& test : {
           BadCase{"", "character 1: D, R, U or W"},
           BadCase{"d0", "character 1: D, R, U or W"},
           BadCase{"D", "character 2: 0 or 1"},
           BadCase{"D2", "character 2: 0 or 1"},
           BadCase{"D0R1", "character 3: '|'"},
           BadCase{"D0|", "character 4: D, R, U or W"},
           BadCase{"D0||R1", "character 4: D, R, U or W"},
           BadCase{"D0 |R1", "character 3: '|'"},
           BadCase{"U1", "character 3: ','"},
           BadCase{"U1,", "character 4: 0 or 1"},
           BadCase{"W0.1|R1|R0", "character 1: a line must be set before"},
           BadCase{"R1|W|R0", "character 5: seconds"},
           BadCase{"R1|W-1|R0", "character 5: seconds"},
           BadCase{"R1|W.5|R0", "character 5: seconds"},
           BadCase{"R1|W5.|R0", "character 5: seconds"},
           BadCase{"R1|W1.2.3|R0", "character 5: seconds"},
           BadCase{"R1|W10.5|R0", "character 5: seconds from 0 to 10"},
           BadCase{"R1|W1e9|R0", "character 6: '|'"},
           BadCase{"R1|W9.5|R0|W0.6", "character 12: all waits together"},
           BadCase{"D1|W0.1|D0", "nowhere is RTS asserted alone"},
           BadCase{"R1|W0.1|D1", "character 11: the sequence ends with a line asserted"},
           BadCase{many, "too many steps"},
           BadCase{std::string(600, 'D'), "too long"},
           BadCase{std::string("R1\0|R0", 6), "character 3: '|'"},
       }) {
    const absl::Status status = CustomReset::Parse(test.text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << test.text << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.why)) << test.text;
  }
}

}  // namespace
}  // namespace kiln::esp
