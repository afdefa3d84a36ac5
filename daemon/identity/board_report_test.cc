#include "daemon/identity/board_report.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::identity {
namespace {

using base::AsBytes;
using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using State = BootWatcher::State;

constexpr absl::string_view kReport =
    R"({"kiln":1,"mac_address":"7C:DF:A1:00:00:01","customer_id":"BGK001",)"
    R"("organization":"โรงพยาบาลกรุงเทพ","application":"SMC_Cabinet_Ward_A",)"
    R"("wifi_ssid":"SMC_ESP32_BGK001_0001","deployment":"d-1","firmware":"1.2.0"})";

constexpr absl::string_view kResetLine = "rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n";

TEST(BoardReportTest, ReadsEveryFieldAndLowersTheMac) {
  const auto report = ParseBoardReport(kReport);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->mac_address, "7c:df:a1:00:00:01");
  EXPECT_EQ(report->customer_id, "BGK001");
  EXPECT_EQ(report->organization, "โรงพยาบาลกรุงเทพ");
  EXPECT_EQ(report->application, "SMC_Cabinet_Ward_A");
  EXPECT_EQ(report->wifi_ssid, "SMC_ESP32_BGK001_0001");
  EXPECT_EQ(report->deployment, "d-1");
  EXPECT_EQ(report->firmware, "1.2.0");
}

TEST(BoardReportTest, RefusesWhatIsNotAReport) {
  struct Case {
    std::string json;
    std::string said;
  };
  const std::string rest = R"("mac_address":"7c:df:a1:00:00:01","customer_id":"BGK001"})";
  const Case cases[] = {
      {"", "not a JSON object"},
      {"[1]", "not a JSON object"},
      {"{\"kiln\":1,", "not a JSON object"},
      {absl::StrCat("{", rest), "version 1"},
      {absl::StrCat("{\"kiln\":2,", rest), "version 1"},
      {absl::StrCat("{\"kiln\":\"1\",", rest), "version 1"},
      {R"({"kiln":1,"customer_id":"BGK001"})", "no \"mac_address\""},
      {R"({"kiln":1,"mac_address":"7c:df:a1:00:00:01"})", "no \"customer_id\""},
      {R"({"kiln":1,"mac_address":7,"customer_id":"BGK001"})", "not a text"},
      {R"({"kiln":1,"mac_address":"7c:df:a1:00:00:0g","customer_id":"B"})", "not a MAC"},
      {R"({"kiln":1,"mac_address":"7cdfa1000001","customer_id":"B"})", "not a MAC"},
      {R"({"kiln":1,"mac_address":"7c:df:a1:00:00:01","customer_id":""})", "empty"},
      {R"({"kiln":1,"mac_address":"7c:df:a1:00:00:01","customer_id":"B\u001b[2J"})", "control"},
      {absl::StrCat("{\"kiln\":1,\"organization\":\"\xff\",", rest), "not a JSON object"},
      {absl::StrCat("{\"kiln\":1,\"x\":\"", std::string(1024, 'x'), "\",", rest), "at most 1024"},
  };
  for (const Case& c : cases) {
    const auto report = ParseBoardReport(c.json);
    ASSERT_FALSE(report.ok()) << c.json;
    EXPECT_TRUE(errors::Is(report.status(), ErrorCode::kBoardNotConfirmed)) << report.status();
    EXPECT_THAT(std::string(report.status().message()), HasSubstr(c.said)) << c.json;
  }
}

TEST(BoardReportTest, ReadsTheMacAnswerWithAndWithoutVersion) {
  EXPECT_TRUE(ParseMacAnswer(R"({"mac_address":"7C:DF:A1:00:00:01","customer_id":"BGK001",
                                 "organization":"A","status":"ok","timestamp":17})"
                             "\n")
                  .ok());
  EXPECT_TRUE(ParseMacAnswer(kReport).ok());
  const auto failing = ParseMacAnswer(
      R"({"mac_address":"7c:df:a1:00:00:01","customer_id":"BGK001","status":"error"})");
  EXPECT_THAT(std::string(failing.status().message()), HasSubstr("status is not \"ok\""));
}

TEST(BoardReportTest, NamesEveryDifferenceFromTheOrder) {
  const BoardReport report = {.mac_address = "7c:df:a1:00:00:01",
                              .customer_id = "BGK001",
                              .wifi_ssid = "SMC_ESP32_BGK001_0001",
                              .deployment = "old"};
  ExpectedBoard expected = {.mac = "7C:DF:A1:00:00:01", .customer_id = "BGK001"};
  EXPECT_TRUE(CheckBoardReport(report, expected).ok());

  expected.deployment = "new";
  expected.customer_id = "BGK002";
  const absl::Status status = CheckBoardReport(report, expected);
  EXPECT_TRUE(errors::Is(status, ErrorCode::kIdentityMismatch)) << status;
  EXPECT_THAT(
      std::string(status.message()),
      HasSubstr("customer_id is BGK001 instead of BGK002; deployment is old instead of new"));
}

TEST(LineScannerTest, CutsAtAnyLineEndInAnyPieces) {
  LineScanner scanner;
  EXPECT_THAT(scanner.Feed(AsBytes("a\r\n\r\nb\nc")), ElementsAre("a", "b"));
  EXPECT_THAT(scanner.Feed(AsBytes("d")), ElementsAre());
  EXPECT_THAT(scanner.Feed(AsBytes("\r")), ElementsAre("cd"));
}

TEST(LineScannerTest, KeepsAReportTogetherBehindEndlessNoise) {
  // Every alignment of the report against the limit.
  for (size_t noise = LineScanner::kMaxLineBytes - kReport.size() - 4;
       noise < LineScanner::kMaxLineBytes + 16; ++noise) {
    BootWatcher watcher;
    watcher.Feed(AsBytes(std::string(noise, '\x80')));
    watcher.Feed(AsBytes(absl::StrCat(kReport, "\n")));
    EXPECT_EQ(watcher.state(), State::kReported) << noise << ": " << watcher.Summary();
  }
}

TEST(LineScannerTest, HoldsNoMoreThanItsLimit) {
  LineScanner scanner;
  size_t given = 0;
  for (int i = 0; i < 100; ++i) {
    for (const std::string& line : scanner.Feed(AsBytes(std::string(1000, 'x')))) {
      given += line.size();
      EXPECT_LE(line.size(), LineScanner::kMaxLineBytes + 1);
    }
  }
  EXPECT_GE(given + LineScanner::kMaxLineBytes, 100'000u);
}

TEST(BootWatcherTest, FindsTheReportByteByByteAmongOtherLines) {
  const std::string stream =
      absl::StrCat("\xf0\x00\x80garbage\nESP-ROM:esp32s3-20210327\r\n", kResetLine,
                   "I (23) boot: ESP-IDF v5.3\r\nhello {\"kiln\":2,\"x\":1}\r\n\x1b[0;32m", kReport,
                   "\x1b[0m\r\nrst:0x1\n");
  BootWatcher watcher;
  State state = State::kWaiting;
  for (const char c : stream) state = watcher.Feed(AsBytes(absl::string_view(&c, 1)));
  EXPECT_EQ(state, State::kReported) << watcher.Summary();
  EXPECT_EQ(watcher.report().customer_id, "BGK001");
  EXPECT_TRUE(watcher.Outcome().ok());
}

TEST(BootWatcherTest, WaitsForASoundReportAfterABrokenOne) {
  BootWatcher watcher;
  const std::string broken = absl::StrCat(kReport.substr(0, 60), "\n");
  EXPECT_EQ(watcher.Feed(AsBytes(broken)), State::kWaiting);
  EXPECT_THAT(watcher.Summary(), HasSubstr("broken report"));
  EXPECT_TRUE(errors::Is(watcher.Outcome(), ErrorCode::kBoardNotConfirmed)) << watcher.Outcome();
  EXPECT_EQ(watcher.Feed(AsBytes(absl::StrCat(kReport, "\n"))), State::kReported);
}

TEST(BootWatcherTest, ForgivesOnePanicAndARestart) {
  BootWatcher watcher;
  watcher.Feed(AsBytes(kResetLine));
  watcher.Feed(AsBytes("Guru Meditation Error: Core  0 panic'ed (LoadProhibited).\r\n"));
  watcher.Feed(AsBytes(kResetLine));
  EXPECT_EQ(watcher.state(), State::kWaiting);
  EXPECT_THAT(watcher.Summary(), HasSubstr("2 resets"));
  EXPECT_THAT(watcher.Summary(), HasSubstr("1 panic (Guru Meditation Error"));
  EXPECT_TRUE(errors::Is(watcher.Outcome(), ErrorCode::kBoardDidNotBoot)) << watcher.Outcome();
  EXPECT_EQ(watcher.Feed(AsBytes(absl::StrCat(kReport, "\n"))), State::kReported);
}

TEST(BootWatcherTest, RecognisesEachKindOfBootLoop) {
  const absl::string_view signs[] = {
      "invalid header: 0xffffffff",
      "flash read err, 1000",
      "E (52) boot: Failed to verify partition table",
      "E (61) boot: No bootable app partitions in the partition table",
      "E (80) boot: Image hash failed - image is corrupt",
      "Guru Meditation Error: Core  1 panic'ed (Cache disabled but cached memory region accessed).",
      "abort() was called at PC 0x400d1a2b on core 0",
      "Brownout detector was triggered",
      "ets Jul 29 2019 12:21:46 rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
  };
  for (const absl::string_view sign : signs) {
    BootWatcher watcher;
    int lines = 0;
    while (lines < 10 && watcher.state() == State::kWaiting) {
      watcher.Feed(AsBytes(absl::StrCat(sign, "\r\n")));
      ++lines;
    }
    EXPECT_EQ(watcher.state(), State::kBootLoop) << sign;
    EXPECT_EQ(lines, sign.find("rst:") == sign.npos ? 3 : 5) << sign;
    EXPECT_TRUE(errors::Is(watcher.Outcome(), ErrorCode::kBoardDidNotBoot)) << sign;
    // Final: a late report changes nothing.
    EXPECT_EQ(watcher.Feed(AsBytes(absl::StrCat(kReport, "\n"))), State::kBootLoop) << sign;
  }
}

TEST(BootWatcherTest, TellsAStartOfTheLoaderFromOneOfTheProgram) {
  BootWatcher watcher;
  EXPECT_FALSE(watcher.in_loader());
  watcher.Feed(
      AsBytes("rst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0))\r\nwaiting for download\r\n"));
  EXPECT_TRUE(watcher.in_loader());
  EXPECT_EQ(watcher.state(), State::kWaiting) << "somebody may yet reset it";
  EXPECT_TRUE(errors::Is(watcher.Outcome(), ErrorCode::kBoardDidNotBoot)) << watcher.Outcome();
  EXPECT_THAT(std::string(watcher.Outcome().message()), HasSubstr("BOOT"));
  watcher.Feed(AsBytes(kResetLine));
  EXPECT_FALSE(watcher.in_loader());
  EXPECT_TRUE(errors::Is(watcher.Outcome(), ErrorCode::kBoardNotConfirmed)) << watcher.Outcome();
  watcher.Feed(AsBytes("I (812) ota: waiting for download\r\n"));
  EXPECT_FALSE(watcher.in_loader()) << "a program's own words";
}

TEST(BootWatcherTest, ShowsTheBoardsWordsEscapedAndShort) {
  BootWatcher watcher(BootWatcher::Limits{.failures = 1, .resets = 1});
  watcher.Feed(AsBytes(absl::StrCat("abort() was called\x1b[2J\xe0", std::string(500, 'A'), "\n")));
  EXPECT_EQ(watcher.state(), State::kBootLoop);
  EXPECT_THAT(watcher.reason(), HasSubstr("\\x1b[2J\\xe0"));
  EXPECT_THAT(watcher.reason(), Not(HasSubstr(std::string(81, 'A'))));
}

}  // namespace
}  // namespace kiln::identity
