// The USB source and the registry with the real libusb and its hotplug events, on a mocked bus.
// Runs under umockdev-wrapper.

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/usb_scan.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/ports/usb/usb_serial.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/usb/mock/mocked_usb_bus.h"
#include "simulator/usb/usb_models.h"

namespace kiln::boards {
namespace {

class UsbHotplugTest : public ::testing::Test {
 protected:
  UsbHotplugTest() : context_(std::move(ports::UsbContext::Create()).value()) {
    UsbDrivers drivers;
    drivers.own = [this](const ports::UsbPlace& place, const ports::UsbAdapter& adapter) {
      return ports::MakeUsbSerialOpener(*context_, base::SystemClock(), place, adapter);
    };
    std::vector<std::unique_ptr<PortSource>> sources;
    sources.push_back(MakeUsbScan({}, std::move(drivers), base::SystemClock()));
    registry_ = CreateRegistry(std::move(sources), base::SystemClock());
    registry_->SetObserver([this](const BoardInfo&) {
      absl::MutexLock lock(&mutex_);
      ++changes_;
    });
    context_->SetHotplugObserver([this] {
      if (!lose_events_) registry_->Wake();
      absl::MutexLock lock(&mutex_);
      ++events_;
    });
    EXPECT_TRUE(registry_->Start().ok());
  }
  ~UsbHotplugTest() override {
    context_->SetHotplugObserver(nullptr);
    registry_->Stop();
  }

  void Plug(const std::string& place) {
    auto model = simulator::MakeUsbModel("cp2102", simulator::BoardConfig());
    ASSERT_TRUE(model.ok()) << model.status();
    bus_.Plug(place, *std::move(model), {.kernel_driver = "cp210x"});
  }

  int events() {
    absl::MutexLock lock(&mutex_);
    return events_;
  }
  // Waits until the boards are as `wanted` says.
  bool Await(const std::function<bool(const std::vector<BoardInfo>&)>& wanted) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    for (;;) {
      int seen = 0;
      {
        absl::MutexLock lock(&mutex_);
        seen = changes_;
      }
      if (wanted(registry_->List())) return true;
      absl::MutexLock lock(&mutex_);
      const auto more = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return changes_ != seen; };
      if (!mutex_.AwaitWithDeadline(absl::Condition(&more), end)) return false;
    }
  }
  bool AwaitPresence(const std::string& port, bool present) {
    return Await([&](const std::vector<BoardInfo>& boards) {
      return std::any_of(boards.begin(), boards.end(), [&](const BoardInfo& board) {
        return board.port == port && board.present == present;
      });
    });
  }

  // Plugs a board in and takes it away again; what found it.
  FoundBy PlugAndUnplug(const std::string& place) {
    const std::string port = absl::StrCat("usb-", place);
    Plug(place);
    EXPECT_TRUE(AwaitPresence(port, true)) << port;
    const FoundBy found_by = registry_->Get(port)->found_by;
    bus_.Unplug(place);
    EXPECT_TRUE(AwaitPresence(port, false)) << port;
    return found_by;
  }

  simulator::MockedUsbBus bus_;  // before libusb looks at it
  std::unique_ptr<ports::UsbContext> context_;
  std::atomic<bool> lose_events_ = false;
  absl::Mutex mutex_;
  int events_ ABSL_GUARDED_BY(mutex_) = 0;
  int changes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Registry> registry_;
};

TEST_F(UsbHotplugTest, EventsTellOfArrivalsAndDepartures) {
  ASSERT_TRUE(context_->has_hotplug());
  constexpr int kRounds = 5;
  int by_event = 0;
  for (int round = 1; round <= kRounds; ++round) {
    by_event += PlugAndUnplug("1-2.3") == FoundBy::kEvent ? 1 : 0;
    EXPECT_EQ(registry_->Get("usb-1-2.3")->arrival, static_cast<uint64_t>(round));
  }
  // A look that was due anyway may be quicker than an event, as that of the start may be.
  EXPECT_GT(by_event, 0);
  EXPECT_GE(events(), 2 * kRounds);
}

TEST_F(UsbHotplugTest, AHubWith32BoardsIsResetAndNoneIsLost) {
  constexpr int kBoards = 32;
  std::vector<std::string> places;
  for (int i = 1; i <= kBoards; ++i) places.push_back(absl::StrCat("1-2.", i));
  for (const std::string& place : places) Plug(place);
  const auto all_there = [](uint64_t arrival) {
    return [arrival](const std::vector<BoardInfo>& boards) {
      return boards.size() == kBoards &&
             std::all_of(boards.begin(), boards.end(), [arrival](const BoardInfo& board) {
               return board.present && board.arrival >= arrival;
             });
    };
  };
  ASSERT_TRUE(Await(all_there(1)));
  std::vector<std::string> names;
  for (const BoardInfo& board : registry_->List()) names.push_back(board.port);

  bus_.ResetHub("1-2");

  ASSERT_TRUE(Await(all_there(2))) << "all have left and come back";
  std::vector<std::string> names_after;
  for (const BoardInfo& board : registry_->List()) names_after.push_back(board.port);
  EXPECT_EQ(names_after, names);
}

TEST_F(UsbHotplugTest, WhatLostEventsDoNotTellTheScanFinds) {
  lose_events_ = true;
  EXPECT_EQ(PlugAndUnplug("1-4"), FoundBy::kScan);
  lose_events_ = false;
  int tries = 0;
  while (PlugAndUnplug("1-5") != FoundBy::kEvent) ASSERT_LT(++tries, 5) << "later ones count again";
}

}  // namespace
}  // namespace kiln::boards
