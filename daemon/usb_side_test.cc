#include "daemon/usb_side.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/fake_usb_tree.h"
#include "daemon/telemetry/health.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::daemon {
namespace {

using boards::FakeUsbTree;
using ::testing::HasSubstr;

// A libusb whose events the test sends, or loses.
class FakeUsbContext final : public ports::UsbContext {
 public:
  bool has_hotplug() const override { return true; }
  void SetHotplugObserver(std::function<void()> observer) override {
    absl::MutexLock lock(&mutex_);
    observer_ = std::move(observer);
  }
  libusb_context* get() override { return nullptr; }
  void Gather(absl::Duration /*time*/) override {}
  void SendEvent() {
    absl::MutexLock lock(&mutex_);
    if (observer_) observer_();
  }
  bool observed() {
    absl::MutexLock lock(&mutex_);
    return observer_ != nullptr;
  }

 private:
  absl::Mutex mutex_;
  std::function<void()> observer_ ABSL_GUARDED_BY(mutex_);
};

class UsbSideTest : public ::testing::Test {
 protected:
  UsbSideTest() {
    // With it, a libusb built on libudev has events, too.
    FakeUsbTree::Write(tree_.root() / "run/udev/control", "");
  }
  ~UsbSideTest() override {
    if (side_ != nullptr) side_->Disconnect();
    if (registry_ != nullptr) registry_->Stop();
  }

  // The station's registry with its USB side alone, running.
  void Start(absl::StatusOr<std::unique_ptr<ports::UsbContext>> context) {
    side_ = std::make_unique<UsbSide>(config_, std::move(context), base::SystemClock(), *metrics_,
                                      UsbSide::Roots{.sysfs = tree_.sysfs(),
                                                     .dev = tree_.dev(),
                                                     .proc = tree_.proc(),
                                                     .run = (tree_.root() / "run").string()});
    std::vector<std::unique_ptr<boards::PortSource>> sources;
    sources.push_back(side_->MakeSource());
    registry_ = boards::CreateRegistry(std::move(sources), base::SystemClock());
    registry_->SetObserver([this](const boards::BoardInfo& board) {
      if (board.present) side_->BoardArrived(board);
      absl::MutexLock lock(&mutex_);
      seen_.push_back(board);
    });
    registry_->ScanNow();
    side_->Connect(*registry_);
    ASSERT_TRUE(registry_->Start().ok());
  }
  FakeUsbContext& StartWithLibusb() {
    auto context = std::make_unique<FakeUsbContext>();
    FakeUsbContext& fake = *context;
    Start(std::move(context));
    return fake;
  }
  void StartWithoutLibusb() {
    Start(errors::MakeError(errors::ErrorCode::kUsbUnavailable, "libusb cannot start"));
  }

  boards::BoardInfo AwaitChange(const std::function<bool(const boards::BoardInfo&)>& wanted) {
    absl::MutexLock lock(&mutex_);
    boards::BoardInfo found;
    const auto there = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      for (const boards::BoardInfo& board : seen_) {
        if (!wanted(board)) continue;
        found = board;
        return true;
      }
      return false;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(30)));
    return found;
  }
  boards::BoardInfo AwaitArrival(const std::string& port) {
    return AwaitChange(
        [&](const boards::BoardInfo& board) { return board.port == port && board.present; });
  }

  absl::Status Health() {
    message_.clear();
    return side_->CheckHealth(*registry_, message_);
  }
  // "ok", "degraded" or "failed", by what a monitor makes of it.
  std::string Level() {
    telemetry::HealthMonitor monitor({{"usb", true, [this](std::string&) { return Health(); }}},
                                     base::SystemClock(), *metrics_);
    monitor.Refresh();
    return v1::Health::Level_Name(monitor.Evaluate().level());
  }

  FakeUsbTree tree_;
  Config config_;
  std::unique_ptr<telemetry::PrometheusMetrics> metrics_ =
      telemetry::PrometheusMetrics::Create({}, base::SystemClock());
  absl::Mutex mutex_;
  std::vector<boards::BoardInfo> seen_ ABSL_GUARDED_BY(mutex_);
  std::string message_;
  std::unique_ptr<UsbSide> side_;
  std::unique_ptr<boards::Registry> registry_;
};

TEST_F(UsbSideTest, AnEventFindsABoard) {
  FakeUsbContext& libusb = StartWithLibusb();
  EXPECT_EQ(Level(), "LEVEL_HEALTHY");
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  libusb.SendEvent();
  EXPECT_EQ(AwaitArrival("usb-1-2").found_by, boards::FoundBy::kEvent);
  EXPECT_EQ(Level(), "LEVEL_HEALTHY");
  EXPECT_THAT(message_, HasSubstr("found by an event"));
  EXPECT_THAT(metrics_->Expose(), HasSubstr("kiln_device_found_total{by=\"event\"} 1"));
  EXPECT_THAT(metrics_->Expose(), HasSubstr("kiln_device_found_total{by=\"scan\"} 0"));
}

TEST_F(UsbSideTest, WhenNoEventEverComesTheScanFindsBoardsAndHealthSaysSo) {
  StartWithLibusb();
  // Being connected makes the registry look as for an event, and so do the looks that follow it.
  // What is found by the scan is found after them.
  for (int i = 1;; ++i) {
    const std::string place = absl::StrCat("1-", i);
    tree_.Plug(place, FakeUsbTree::Cp2102(""));
    if (AwaitArrival(absl::StrCat("usb-", place)).found_by == boards::FoundBy::kScan) break;
    ASSERT_LT(i, 100);
  }
  EXPECT_EQ(Level(), "LEVEL_DEGRADED");
  EXPECT_THAT(std::string(Health().message()), HasSubstr("found by the scan"));
  EXPECT_THAT(metrics_->Expose(), HasSubstr("kiln_hotplug_mode_info{mode=\"poll\"} 1"));
}

TEST_F(UsbSideTest, ALostEventCostsNoBoardAndNoTrustInTheOthers) {
  FakeUsbContext& libusb = StartWithLibusb();
  tree_.Plug("1-1", FakeUsbTree::Cp2102("ttyUSB1"));
  libusb.SendEvent();
  AwaitArrival("usb-1-1");
  // The netlink buffer overflowed: 32 boards came back and nobody was told.
  for (int i = 1; i <= 32; ++i) tree_.Plug(absl::StrCat("2-", i), FakeUsbTree::Cp2102(""));
  for (int i = 1; i <= 32; ++i) AwaitArrival(absl::StrCat("usb-2-", i));
  EXPECT_EQ(Level(), "LEVEL_HEALTHY");
}

TEST_F(UsbSideTest, BoardsThatWereThereBeforeAreNoProofOfAnything) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  StartWithLibusb();
  EXPECT_EQ(Level(), "LEVEL_HEALTHY");
  EXPECT_THAT(message_, HasSubstr("no board came yet"));
}

TEST_F(UsbSideTest, WithoutLibusbAStationIsOnlyUnhealthyWhenAPortNeedsIt) {
  StartWithoutLibusb();
  EXPECT_EQ(Level(), "LEVEL_HEALTHY") << "nothing is on the bus";
  EXPECT_THAT(message_, HasSubstr("libusb cannot start"));
  EXPECT_THAT(metrics_->Expose(), HasSubstr("kiln_hotplug_mode_info{mode=\"poll\"} 1"));

  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  AwaitArrival("usb-1-2");
  EXPECT_EQ(Level(), "LEVEL_DEGRADED");
  EXPECT_THAT(std::string(Health().message()), HasSubstr("only found by polling"));

  tree_.Plug("1-3", FakeUsbTree::Cp2102(""));  // only an own driver could serve it
  AwaitChange([](const boards::BoardInfo& board) {
    return board.port == "usb-1-3" && errors::Is(board.usable, errors::ErrorCode::kUsbUnavailable);
  });
  EXPECT_EQ(Level(), "LEVEL_UNHEALTHY");
}

TEST_F(UsbSideTest, AConfiguredOwnDriverNeedsLibusbBeforeAnyBoardComes) {
  config_.ports.push_back({.name = "usb-1-2", .usb_driver = "user"});
  StartWithoutLibusb();
  EXPECT_EQ(Level(), "LEVEL_UNHEALTHY");
}

TEST_F(UsbSideTest, NoEventReachesTheRegistryAfterDisconnecting) {
  FakeUsbContext& libusb = StartWithLibusb();
  EXPECT_TRUE(libusb.observed());
  side_->Disconnect();
  EXPECT_FALSE(libusb.observed());
}

TEST_F(UsbSideTest, CountsTransfersThatFail) {
  FakeUsbContext& libusb = StartWithLibusb();
  libusb.ReportError("bulk_in", "io");
  EXPECT_THAT(metrics_->Expose(), HasSubstr("operation=\"bulk_in\""));
  EXPECT_THAT(metrics_->Expose(), HasSubstr("code=\"io\""));
}

}  // namespace
}  // namespace kiln::daemon
