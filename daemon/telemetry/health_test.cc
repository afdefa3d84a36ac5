#include "daemon/telemetry/health.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "base/fake_clock.h"
#include "base/fake_file_system.h"
#include "daemon/telemetry/health_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::telemetry {
namespace {

using ::testing::HasSubstr;

// A probe whose outcome the test sets.
struct FakeProbe {
  absl::Status status;
  int calls = 0;

  HealthProbe Named(const std::string& name, bool critical) {
    return {name, critical, [this](std::string& message) {
              ++calls;
              message = "fine";
              return status;
            }};
  }
};

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() {
    std::vector<HealthProbe> probes;
    probes.push_back(critical_.Named("ledger", true));
    probes.push_back(optional_.Named("stubs", false));
    monitor_ = std::make_unique<HealthMonitor>(std::move(probes), clock_, *metrics_);
    monitor_->SetOnChange([this](const v1::Health& health) { changes_.push_back(health); });
  }

  v1::Health EvaluateLater() {
    clock_.Advance(absl::Seconds(2));
    monitor_->Refresh();
    return monitor_->Evaluate();
  }

  base::FakeClock clock_;
  std::unique_ptr<Metrics> metrics_ = NullMetrics();
  FakeProbe critical_;
  FakeProbe optional_;
  std::unique_ptr<HealthMonitor> monitor_;
  std::vector<v1::Health> changes_;
};

TEST_F(HealthTest, ACriticalCheckMayOnlyDegrade) {
  critical_.status = Degraded("works, but slowly");
  const v1::Health health = EvaluateLater();
  EXPECT_EQ(health.level(), v1::Health::LEVEL_DEGRADED);
  EXPECT_FALSE(health.checks(0).ok());
  EXPECT_FALSE(health.checks(0).critical());
  EXPECT_EQ(health.checks(0).message(), "works, but slowly");
}

TEST_F(HealthTest, LevelFollowsTheWorstCheck) {
  struct Case {
    absl::Status critical;
    absl::Status optional;
    v1::Health::Level want;
  };
  const absl::Status bad = absl::InternalError("broken");
  const Case cases[] = {
      {absl::OkStatus(), absl::OkStatus(), v1::Health::LEVEL_HEALTHY},
      {absl::OkStatus(), bad, v1::Health::LEVEL_DEGRADED},
      {bad, absl::OkStatus(), v1::Health::LEVEL_UNHEALTHY},
      {bad, bad, v1::Health::LEVEL_UNHEALTHY},
  };
  for (const Case& c : cases) {
    critical_.status = c.critical;
    optional_.status = c.optional;
    EXPECT_EQ(EvaluateLater().level(), c.want) << c.critical << " " << c.optional;
  }
}

TEST_F(HealthTest, NamesEachCheckAndWhatIsWrong) {
  optional_.status = absl::NotFoundError("no stub files in /usr/share/kiln");

  const v1::Health health = EvaluateLater();

  ASSERT_EQ(health.checks_size(), 2);
  EXPECT_EQ(health.checks(0).name(), "ledger");
  EXPECT_TRUE(health.checks(0).ok());
  EXPECT_TRUE(health.checks(0).critical());
  EXPECT_EQ(health.checks(0).message(), "fine");
  EXPECT_EQ(health.checks(1).message(), "no stub files in /usr/share/kiln");
  EXPECT_FALSE(health.checks(1).critical());
}

TEST_F(HealthTest, ProbesRunAtMostOnceASecond) {
  monitor_->Refresh();
  clock_.Advance(absl::Milliseconds(999));
  monitor_->Refresh();
  EXPECT_EQ(critical_.calls, 1);
  clock_.Advance(absl::Milliseconds(1));
  monitor_->Refresh();
  EXPECT_EQ(critical_.calls, 2);
}

TEST_F(HealthTest, OnlyChangesAreReported) {
  EvaluateLater();
  EvaluateLater();
  ASSERT_EQ(changes_.size(), 1u) << "the first evaluation is a change, the second is not";

  optional_.status = absl::InternalError("x");
  EvaluateLater();
  EvaluateLater();
  ASSERT_EQ(changes_.size(), 2u);
  EXPECT_EQ(changes_[1].level(), v1::Health::LEVEL_DEGRADED);

  optional_.status = absl::OkStatus();
  EvaluateLater();
  ASSERT_EQ(changes_.size(), 3u);
  EXPECT_EQ(changes_[2].level(), v1::Health::LEVEL_HEALTHY);
}

// The folder's probe hangs, as on a dead network mount, until the test lets it go.
TEST(HealthMonitorTest, CheckThatDoesNotComeBackFailsAndStopsNobody) {
  base::FakeClock clock;
  const std::unique_ptr<Metrics> metrics = NullMetrics();
  absl::Notification entered;
  absl::Notification release;
  absl::Notification recovered;
  HealthMonitor monitor({{"export_folder", true,
                          [&](std::string&) {
                            entered.Notify();
                            release.WaitForNotification();
                            return absl::OkStatus();
                          }}},
                        clock, *metrics);
  monitor.SetOnChange([&](const v1::Health& health) {
    if (health.level() == v1::Health::LEVEL_HEALTHY) recovered.Notify();
  });
  monitor.Start();
  entered.WaitForNotification();
  clock.Advance(absl::Seconds(11));

  const v1::Health hanging = monitor.Evaluate();

  EXPECT_EQ(hanging.level(), v1::Health::LEVEL_UNHEALTHY);
  ASSERT_EQ(hanging.checks_size(), 1);
  EXPECT_EQ(hanging.checks(0).name(), "export_folder");
  EXPECT_FALSE(hanging.checks(0).ok());
  EXPECT_THAT(hanging.checks(0).message(), HasSubstr("does not come back"));
  release.Notify();
  recovered.WaitForNotification();
  EXPECT_EQ(monitor.Evaluate().level(), v1::Health::LEVEL_HEALTHY);
}

TEST(HealthChecksTest, FolderProbeFailsWhenNothingCanBeWritten) {
  base::FakeFileSystem files;
  ASSERT_TRUE(files.CreateDirectories("/exports", 0750).ok());
  const HealthProbe probe = WritableFolderProbe("export_folder", "/exports", true, files);
  std::string message;
  EXPECT_TRUE(probe.probe(message).ok());

  files.FailWritesAfter(0, absl::PermissionDeniedError("read-only file system"));

  const absl::Status status = probe.probe(message);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/exports"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("read-only"));
}

TEST(HealthChecksTest, DiskProbeComparesWithTheMinimum) {
  base::FakeFileSystem files;
  const HealthProbe probe = FreeSpaceProbe("/", uint64_t{500} << 20, files);
  std::string message;
  files.SetFreeBytes(uint64_t{500} << 20);
  EXPECT_TRUE(probe.probe(message).ok());
  files.SetFreeBytes((uint64_t{500} << 20) - 1);
  EXPECT_EQ(probe.probe(message).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace kiln::telemetry
