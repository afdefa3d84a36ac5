#include "daemon/boards/port_power.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "daemon/boards/eventful_clock.h"
#include "daemon/boards/fake_usb_tree.h"
#include "daemon/boards/usb_attributes.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

namespace fs = std::filesystem;
using errors::ErrorCode;
using ::testing::HasSubstr;

constexpr absl::Duration kOffTime = absl::Seconds(1);

class PortPowerTest : public ::testing::Test {
 protected:
  PortPowerTest() {
    tree_.AddHub("1-2", 4, /*switched=*/true);
    tree_.Plug("1-2.3", FakeUsbTree::Cp2102("ttyUSB0"));
    // The kernel: takes the board off when the switch says so, and finds it when it is on again.
    clock_.on_sleep = [this] {
      const bool off = SwitchOf(3) == "1";
      if (off != off_) (off ? off_at_ : on_at_) = clock_.Monotonic();
      off_ = off;
      const bool there = fs::exists(tree_.device("1-2.3"));
      if (off && there && obeys_) tree_.Unplug("1-2.3");
      if (!off && !there && returns_) tree_.Plug("1-2.3", FakeUsbTree::Cp2102("ttyUSB1"));
    };
  }

  std::string SwitchOf(int port) const {
    std::ifstream file(tree_.hub_port("1-2", port) / "disable");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  absl::Status Cycle(const std::string& topology = "1-2.3") {
    return PowerCyclePort(tree_.sysfs(), *ParseTopology(topology), kOffTime, clock_, cancellation_);
  }

  FakeUsbTree tree_;
  EventfulClock clock_;
  base::Cancellation cancellation_;
  bool obeys_ = true;
  bool returns_ = true;
  bool off_ = false;
  absl::Duration off_at_;
  absl::Duration on_at_;
};

TEST_F(PortPowerTest, SwitchesOffWaitsAndFindsTheBoardAgain) {
  ASSERT_TRUE(Cycle().ok());
  EXPECT_GE(on_at_ - off_at_, kOffTime);
  EXPECT_EQ(SwitchOf(3), "0");
  EXPECT_TRUE(fs::exists(tree_.device("1-2.3")));
  EXPECT_EQ(SwitchOf(2), "0");
}

TEST_F(PortPowerTest, SwitchesTheUsb3TwinToo) {
  const fs::path twin = tree_.root() / "sys/twin";
  FakeUsbTree::Write(twin / "disable", "0");
  fs::create_directory_symlink(twin, tree_.hub_port("1-2", 3) / "peer");
  std::string seen;
  const auto kernel = clock_.on_sleep;
  clock_.on_sleep = [&] {
    std::getline(std::ifstream(twin / "disable") >> std::ws, seen);
    kernel();
    clock_.on_sleep = kernel;
  };
  ASSERT_TRUE(Cycle().ok());
  EXPECT_EQ(seen, "1");
  std::ifstream after(twin / "disable");
  EXPECT_EQ(after.get(), '0');
}

TEST_F(PortPowerTest, RootHubsHaveSwitchesToo) {
  tree_.AddHub("usb3", 2, /*switched=*/true);
  EXPECT_TRUE(HasPortPower(tree_.sysfs(), *ParseTopology("3-1")));
  EXPECT_FALSE(HasPortPower(tree_.sysfs(), *ParseTopology("3-5")));
  EXPECT_TRUE(HasPortPower(tree_.sysfs(), *ParseTopology("1-2.3")));
}

TEST_F(PortPowerTest, HubWithoutSwitchesSaysSo) {
  tree_.AddHub("1-4", 4, /*switched=*/false);
  EXPECT_TRUE(errors::Is(Cycle("1-4.1"), ErrorCode::kPortPowerUnsupported));
  EXPECT_TRUE(errors::Is(Cycle("9-1"), ErrorCode::kPortPowerUnsupported));
}

TEST_F(PortPowerTest, SwitchesOnAgainHoweverItEnds) {
  obeys_ = false;
  EXPECT_TRUE(errors::Is(Cycle(), ErrorCode::kPortFailed));
  EXPECT_EQ(SwitchOf(3), "0");

  obeys_ = true;
  returns_ = false;
  const absl::Status lost = Cycle();
  EXPECT_TRUE(errors::Is(lost, ErrorCode::kBoardNotFound)) << lost;
  EXPECT_EQ(SwitchOf(3), "0");

  returns_ = true;
  const auto kernel = clock_.on_sleep;
  clock_.on_sleep = [&] {
    kernel();
    cancellation_.Cancel("the client went away");
  };
  EXPECT_TRUE(absl::IsCancelled(Cycle()));
  EXPECT_EQ(SwitchOf(3), "0");
}

}  // namespace
}  // namespace kiln::boards
