#include "daemon/boards/arrival_hold.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "daemon/boards/configured_ports.h"
#include "daemon/boards/create_registry.h"
#include "daemon/boards/fake_registry.h"
#include "daemon/boards/fake_usb_tree.h"
#include "daemon/boards/registry.h"
#include "daemon/boards/settle_time.h"
#include "daemon/boards/usb_port_opener.h"
#include "daemon/boards/usb_scan.h"
#include "daemon/ports/fake_byte_stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kLink[] = "/dev/serial/by-id/usb-Silicon_Labs_CP2102N-if00-port0";

// The registry over the configured ports and the bus, as the station has it.
class ArrivalHoldTest : public ::testing::Test {
 protected:
  ArrivalHoldTest() {
    std::vector<std::unique_ptr<PortSource>> sources;
    sources.push_back(configured_.MakeSource());
    sources.push_back(bus_.MakeSource());
    registry_ = CreateRegistry(std::move(sources), clock_);
    registry_->SetObserver([this](const BoardInfo& board) {
      seen_.push_back(absl::StrCat(board.port, board.present ? "+" : "-"));
    });
  }

  // A board on the bus, with its terminal's path where it has one.
  void PlugUsb(const std::string& name, const std::string& device) {
    bus_.Plug(name, &opener_);
    bus_.SetUsb(name, {.topology = name.substr(4)});
    bus_.SetDevice(name, device);
  }
  void PlugConfigured(const std::string& name, const std::string& device) {
    configured_.Plug(name, &opener_);
    configured_.SetDevice(name, device);
  }
  // What the observer is told of a look that happens `later`.
  std::vector<std::string> Look(absl::Duration later = absl::ZeroDuration()) {
    clock_.Advance(later);
    registry_->ScanNow();
    return std::exchange(seen_, {});
  }

  base::FakeClock clock_;
  ports::FakeWire wire_;
  ports::FakeStreamOpener opener_{wire_};
  FakePorts configured_;
  FakePorts bus_;
  std::vector<std::string> seen_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(ArrivalHoldTest, ABoardThatIsSeenBeforeItsConfiguredPathIsNamedOnce) {
  configured_.AwaitAt("bench-1", kLink);
  PlugUsb("usb-1-2", "");
  EXPECT_THAT(Look(), IsEmpty());
  bus_.SetDevice("usb-1-2", "/dev/ttyUSB0");  // the link is udev's work, and comes last
  EXPECT_THAT(Look(absl::Milliseconds(100)), IsEmpty());
  PlugConfigured("bench-1", "/dev/ttyUSB0");
  EXPECT_THAT(Look(absl::Milliseconds(100)), ElementsAre("bench-1+"));
  EXPECT_THAT(Look(kUsbSettleTime), IsEmpty());
}

TEST_F(ArrivalHoldTest, ABoardThatLosesItsTerminalBeforeItLeavesIsNotNamedAnew) {
  configured_.AwaitAt("bench-1", "/dev/ttyUSB0");
  PlugUsb("usb-1-2", "/dev/ttyUSB0");
  PlugConfigured("bench-1", "/dev/ttyUSB0");
  EXPECT_THAT(Look(), ElementsAre("bench-1+"));
  configured_.Unplug("bench-1");
  bus_.SetDevice("usb-1-2", "");
  EXPECT_THAT(Look(absl::Minutes(1)), ElementsAre("bench-1-"));
  bus_.RemovePort("usb-1-2");
  EXPECT_THAT(Look(), IsEmpty());
}

TEST_F(ArrivalHoldTest, ABoardThatNoConfiguredPortClaimsIsToldOnceItHasSettled) {
  configured_.AwaitAt("bench-1", kLink);
  PlugUsb("usb-1-2", "");
  registry_->Wake();
  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_THAT(Look(kUsbSettleTime - absl::Milliseconds(1)), IsEmpty());
  EXPECT_THAT(Look(absl::Milliseconds(1)), ElementsAre("usb-1-2+"));
  EXPECT_EQ(registry_->Get("usb-1-2")->found_by, FoundBy::kEvent) << "it announced the board";
}

TEST_F(ArrivalHoldTest, ABoardWhoseTerminalHasNoAwaitedLinkIsToldSoon) {
  configured_.AwaitAt("bench-1", kLink);
  PlugUsb("usb-1-2", "");
  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_THAT(Look(absl::Milliseconds(100)), IsEmpty());
  bus_.SetDevice("usb-1-2", "/dev/ttyUSB0");
  EXPECT_THAT(Look(absl::Milliseconds(100)), IsEmpty()) << "the link is made after the terminal";
  EXPECT_THAT(Look(absl::Milliseconds(100)), ElementsAre("usb-1-2+"));
}

TEST_F(ArrivalHoldTest, ABoardIsToldAtOnceWhenNoConfiguredPortIsAbsent) {
  PlugConfigured("bench-1", "/dev/ttyUSB7");
  PlugUsb("usb-1-2", "");
  EXPECT_THAT(Look(), ElementsAre("bench-1+", "usb-1-2+"));
}

TEST_F(ArrivalHoldTest, ATerminalOfAnotherNameIsNotTheAwaitedOne) {
  configured_.AwaitAt("bench-1", "/dev/ttyUSB0");
  PlugUsb("usb-1-2", "/dev/ttyUSB1");
  EXPECT_THAT(Look(), ElementsAre("usb-1-2+"));
  PlugUsb("usb-1-3", "");
  EXPECT_THAT(Look(), IsEmpty()) << "it may become ttyUSB0";
  bus_.SetDevice("usb-1-3", "/dev/ttyUSB2");
  EXPECT_THAT(Look(), ElementsAre("usb-1-3+"));
  // The bus was looked at a moment after the configured ports.
  PlugUsb("usb-1-4", "/dev/ttyUSB0");
  EXPECT_THAT(Look(), IsEmpty());
}

TEST_F(ArrivalHoldTest, WhatHasBeenToldStaysWhenAnotherBoardLeaves) {
  configured_.AwaitAt("bench-1", kLink);
  PlugConfigured("bench-1", "/dev/ttyUSB1");
  PlugUsb("usb-1-2", "/dev/ttyUSB0");
  EXPECT_THAT(Look(), ElementsAre("bench-1+", "usb-1-2+"));
  configured_.Unplug("bench-1");
  EXPECT_THAT(Look(), ElementsAre("bench-1-"));
}

TEST_F(ArrivalHoldTest, ABoardThatLeavesTheBusForAMomentIsKnownAgain) {
  configured_.AwaitAt("bench-1", kLink);
  PlugUsb("usb-1-2", "/dev/ttyACM0");
  Look();
  EXPECT_THAT(Look(kUsbSettleTime), ElementsAre("usb-1-2+"));
  // A chip with USB of its own goes from its loader to its program, which speaks at once.
  bus_.RemovePort("usb-1-2");
  EXPECT_THAT(Look(), ElementsAre("usb-1-2-"));
  PlugUsb("usb-1-2", "");
  EXPECT_THAT(Look(absl::Milliseconds(300)), IsEmpty());
  bus_.SetDevice("usb-1-2", "/dev/ttyACM0");
  EXPECT_THAT(Look(absl::Milliseconds(100)), ElementsAre("usb-1-2+"));
  // Somebody puts another board in.
  bus_.RemovePort("usb-1-2");
  EXPECT_THAT(Look(), ElementsAre("usb-1-2-"));
  Look(kUsbSettleTime);
  PlugUsb("usb-1-2", "/dev/ttyACM0");
  EXPECT_THAT(Look(absl::Seconds(1)), IsEmpty());
}

TEST_F(ArrivalHoldTest, AReplugBetweenTwoLooksIsALeavingAndThenHeldBack) {
  configured_.AwaitAt("bench-1", "/dev/ttyUSB0");
  PlugUsb("usb-1-2", "/dev/ttyUSB1");
  EXPECT_THAT(Look(), ElementsAre("usb-1-2+"));
  PlugUsb("usb-1-2", "");
  EXPECT_THAT(Look(), ElementsAre("usb-1-2-"));
  PlugConfigured("bench-1", "/dev/ttyUSB0");
  bus_.SetDevice("usb-1-2", "/dev/ttyUSB0");
  EXPECT_THAT(Look(), ElementsAre("bench-1+"));
}

TEST_F(ArrivalHoldTest, APortThatIsConfiguredByNameKeepsItsAliasMeanwhile) {
  configured_.AwaitAt("bench-1", kLink);
  configured_.AddPort("usb-1-2", "A2");
  PlugUsb("usb-1-2", "/dev/ttyUSB0");
  Look();
  ASSERT_TRUE(registry_->Get("A2").ok());
  EXPECT_FALSE(registry_->Get("A2")->present);
  EXPECT_THAT(Look(kUsbSettleTime), ElementsAre("usb-1-2+"));
  EXPECT_EQ(registry_->Get("A2")->port, "usb-1-2");
}

TEST(StationsSourcesTest, ABoardIsHeldBackWhileAConfiguredTerminalIsMissing) {
  FakeUsbTree tree;
  base::FakeClock clock;
  std::vector<std::unique_ptr<PortSource>> sources;
  sources.push_back(MakeConfiguredPorts(
                        {{.name = "bench-1", .address = tree.dev() + "/serial/by-id/usb-1"}}, clock)
                        .value());
  UsbDrivers drivers;
  drivers.sysfs_root = tree.sysfs();
  drivers.dev_root = tree.dev();
  drivers.proc_root = tree.proc();
  sources.push_back(MakeUsbScan({}, drivers, clock));
  const std::unique_ptr<Registry> registry = CreateRegistry(std::move(sources), clock);
  tree.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  registry->ScanNow();
  ASSERT_EQ(registry->List().size(), 1u);
  EXPECT_EQ(registry->List()[0].port, "bench-1");
  clock.Advance(kUsbSettleTime);
  registry->ScanNow();
  ASSERT_EQ(registry->List().size(), 2u);
  EXPECT_TRUE(registry->Get("usb-1-2")->present);
}

}  // namespace
}  // namespace kiln::boards
