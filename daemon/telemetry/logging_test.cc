#include "daemon/telemetry/logging.h"

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace kiln::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::unique_ptr<Log> MakeLog(std::ostream& out, const std::string& level = "info") {
  auto log = Log::CreateFor(out, "bkk-1", level);
  EXPECT_TRUE(log.ok()) << log.status();
  return *std::move(log);
}

TEST(LoggingTest, LineIsOneJsonObjectWithTheDeployment) {
  std::ostringstream out;
  MakeLog(out)->Info("step ended", {{"deployment", "d-1"}, {"step", "flash"}});

  const auto line = nlohmann::json::parse(out.str());
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["station"], "bkk-1");
  EXPECT_EQ(line["deployment"], "d-1");
  EXPECT_EQ(line["message"], "step ended");
  EXPECT_EQ(line["step"], "flash");
  EXPECT_THAT(line["time"].get<std::string>(), ::testing::EndsWith("Z"));
}

TEST(LoggingTest, DeploymentIsOnEveryLineEvenWithoutOne) {
  std::ostringstream out;
  MakeLog(out)->Warn("no boards");
  EXPECT_EQ(nlohmann::json::parse(out.str())["deployment"], "");
}

TEST(LoggingTest, HostileTextStaysInsideItsString) {
  const std::string hostile = "a\"b\\c\nd\x01{}%v \xff ไทย";
  std::ostringstream out;
  MakeLog(out)->Error(hostile, {{"k\"ey", hostile}});

  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  const auto line = nlohmann::json::parse(text);
  EXPECT_EQ(line["message"], "a\"b\\c\nd\x01{}%v \xef\xbf\xbd ไทย");
  EXPECT_EQ(line["k\"ey"], line["message"]);
}

TEST(LoggingTest, SecretsAreRedactedByName) {
  std::ostringstream out;
  MakeLog(out)->Info("identity", {{"wifi_password", "hunter2hunter2"}, {"api_Token", "abc123"}});
  EXPECT_THAT(out.str(), Not(HasSubstr("hunter2")));
  EXPECT_THAT(out.str(), Not(HasSubstr("abc123")));
  EXPECT_THAT(out.str(), HasSubstr("[redacted]"));
}

TEST(LoggingTest, LinesBelowTheLevelAreLeftOut) {
  std::ostringstream out;
  const auto log = MakeLog(out, "warn");
  log->Debug("one");
  log->Info("two");
  EXPECT_EQ(out.str(), "");
  log->Warn("three");
  EXPECT_THAT(out.str(), HasSubstr("three"));
}

TEST(LoggingTest, UnknownLevelIsRefused) {
  std::ostringstream out;
  EXPECT_EQ(Log::CreateFor(out, "x", "loud").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kiln::telemetry
