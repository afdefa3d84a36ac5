#include "daemon/boards/usb_scan.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/fake_clock.h"
#include "daemon/boards/fake_usb_tree.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/settle_time.h"
#include "daemon/boards/usb_bus.h"
#include "daemon/boards/usb_port_opener.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

namespace fs = std::filesystem;
using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class UsbScanTest : public ::testing::Test {
 protected:
  UsbScanTest() {
    drivers_.sysfs_root = tree_.sysfs();
    drivers_.dev_root = tree_.dev();
    drivers_.proc_root = tree_.proc();
    drivers_.check_file = [this](const std::string& path) {
      if (before_check_) before_check_();
      const auto closed = closed_.find(path);
      return closed == closed_.end() ? CheckDeviceFile(path) : closed->second;
    };
  }

  // The files of root's that a test may not open; root itself may open everything.
  void Close(const std::string& path) {
    closed_[path] = errors::MakeError(ErrorCode::kPortPermission, "may not open " + path);
  }

  PortSource& source() {
    if (source_ == nullptr) source_ = MakeUsbScan(options_, drivers_, clock_);
    return *source_;
  }
  std::vector<FoundPort> Ports() { return source().Scan(); }
  // "usb-1-2 ttyUSB0", "usb-1-2 usb:1-2" for the own driver.
  std::vector<std::string> Scan() {
    std::vector<std::string> lines;
    for (const FoundPort& port : Ports()) {
      lines.push_back(absl::StrCat(port.name, " ", fs::path(port.address).filename().string()));
    }
    return lines;
  }
  void Settle() {
    Ports();
    clock_.Advance(kUsbSettleTime);
  }

  FakeUsbTree tree_;
  base::FakeClock clock_;
  UsbScanOptions options_;
  UsbDrivers drivers_;
  std::map<std::string, absl::Status> closed_;
  std::function<void()> before_check_;
  std::unique_ptr<PortSource> source_;
};

TEST_F(UsbScanTest, NamesBoardsByTheirPlaceOnTheBus) {
  tree_.Plug("1-2.3", FakeUsbTree::Cp2102("ttyUSB1"));
  tree_.Plug("1-4", {.vendor = "1a86", .product = "7523", .interfaces = {{.tty = "ttyUSB0"}}});
  tree_.Plug("2-1", {.vendor = "303a",
                     .product = "1001",
                     .interfaces = {{.number = "00",
                                     .class_code = "02",
                                     .subclass = "02",
                                     .driver = "cdc_acm",
                                     .tty = "ttyACM0"},
                                    {.number = "01", .class_code = "0a", .driver = "cdc_acm"},
                                    {.number = "02", .class_code = "ff", .driver = ""}}});
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2.3 ttyUSB1", "usb-1-4 ttyUSB0", "usb-2-1 ttyACM0"));
  EXPECT_THAT(Ports()[0].adapter, HasSubstr("(10c4:ea60)"));
  EXPECT_TRUE(Ports()[0].present);
  EXPECT_TRUE(Ports()[0].usable.ok());
}

TEST_F(UsbScanTest, NameStaysWhenTheKernelsNameChanges) {
  tree_.Plug("1-2.3", FakeUsbTree::Cp2102("ttyUSB0"));
  const std::string instance = Ports()[0].instance;
  tree_.Unplug("1-2.3");
  EXPECT_THAT(Scan(), IsEmpty());
  tree_.Plug("1-2.3", FakeUsbTree::Cp2102("ttyUSB5"));
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2.3 ttyUSB5"));
  EXPECT_NE(Ports()[0].instance, instance) << "it was plugged in anew";
}

TEST_F(UsbScanTest, ABoardKeepsItsPortWhenItsProductIdChanges) {
  // The loader of an ESP32-S3 by USB-OTG, then its program.
  tree_.Plug("1-2", {.vendor = "303a",
                     .product = "0009",
                     .interfaces = {{.class_code = "02", .subclass = "02", .tty = "ttyACM0"}}});
  const FoundPort loader = Ports()[0];
  tree_.Plug("1-2", {.vendor = "303a",
                     .product = "4001",
                     .interfaces = {{.class_code = "02", .subclass = "02", .tty = "ttyACM1"}}});
  const FoundPort program = Ports()[0];
  EXPECT_EQ(loader.name, "usb-1-2");
  EXPECT_EQ(program.name, "usb-1-2");
  EXPECT_NE(loader.instance, program.instance);
  EXPECT_EQ(loader.usb->product, 0x0009);
  EXPECT_EQ(program.usb->product, 0x4001);
}

TEST_F(UsbScanTest, TellsThePortsOfOneAdapterApartWithAndWithoutTerminals) {
  FakeUsbTree::Adapter dual = {
      .vendor = "0403",
      .product = "6010",
      .interfaces = {{.number = "01", .tty = "ttyUSB1"}, {.number = "00", .tty = "ttyUSB0"}}};
  tree_.Plug("1-2", dual);
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2 ttyUSB0", "usb-1-2-if1 ttyUSB1"));
  // Another program has taken the first one: the second one keeps its name.
  dual.interfaces[1].tty.clear();
  tree_.Plug("1-2", dual);
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2 usb:1-2", "usb-1-2-if1 ttyUSB1"));
}

TEST_F(UsbScanTest, OnlyTerminalHasThePlainNameWhateverItsInterface) {
  tree_.Plug(
      "1-2",
      {.vendor = "303a",
       .product = "0002",
       .interfaces = {{.number = "02", .class_code = "02", .subclass = "02", .tty = "ttyACM0"}}});
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2 ttyACM0"));
}

TEST_F(UsbScanTest, LeavesForeignDevicesAndHubsAlone) {
  tree_.Plug("1-2", {.vendor = "2341", .product = "0043", .interfaces = {{.tty = "ttyACM0"}}});
  tree_.Plug("1-3", {.vendor = "10c4", .product = "0001"});
  tree_.Plug("1-4", {.vendor = "303a", .product = "8123", .interfaces = {{.class_code = "03"}}});
  tree_.AddHub("usb1", 4, true);
  FakeUsbTree::Write(tree_.device("usb1") / "idVendor", "1d6b\n");
  FakeUsbTree::Write(tree_.device("usb1") / "idProduct", "0002\n");
  FakeUsbTree::Write(tree_.device("usb1") / "devnum", "1\n");
  FakeUsbTree::Write(tree_.device("1-5") / "idVendor", "10c4\n");  // half of a device
  EXPECT_THAT(Scan(), IsEmpty());
}

TEST_F(UsbScanTest, SystemWithoutUsbHasNoBoards) {
  fs::remove_all(tree_.root() / "sys");
  EXPECT_THAT(Scan(), IsEmpty());
}

TEST_F(UsbScanTest, AllowAndDenyByPortAndById) {
  tree_.Plug("1-2.1", FakeUsbTree::Cp2102("ttyUSB0"));
  tree_.Plug("1-2.2", FakeUsbTree::Cp2102("ttyUSB1"));
  tree_.Plug("1-3", FakeUsbTree::Cp2102("ttyUSB2"));
  tree_.Plug("1-4", {.vendor = "0403", .product = "6001", .interfaces = {{.tty = "ttyUSB3"}}});
  struct Case {
    UsbScanOptions options;
    std::vector<std::string> want;
  };
  const UsbId cp2102 = {0x10c4, 0xea60};
  const Case cases[] = {
      {{.allow_ports = {"usb-1-2.*"}}, {"usb-1-2.1", "usb-1-2.2"}},
      {{.deny_ports = {"usb-1-2.1", "usb-1-4"}}, {"usb-1-2.2", "usb-1-3"}},
      {{.allow_ids = {cp2102}}, {"usb-1-2.1", "usb-1-2.2", "usb-1-3"}},
      {{.deny_ids = {cp2102}}, {"usb-1-4"}},
      {{.allow_ports = {"*"}, .deny_ids = {cp2102}}, {"usb-1-4"}},
      {{.allow_ports = {"usb-1-2.*"}, .deny_ports = {"*.2"}}, {"usb-1-2.1"}},
      {{.allow_ports = {"usb-1-3"}, .allow_ids = {{0x0403, 0x6001}}}, {}},
  };
  for (const Case& c : cases) {
    std::vector<std::string> names;
    for (const FoundPort& port : MakeUsbScan(c.options, drivers_, clock_)->Scan()) {
      names.push_back(port.name);
    }
    EXPECT_EQ(names, c.want);
  }
}

TEST_F(UsbScanTest, SaysWhereTheBoardIsOnTheBus) {
  tree_.AddHub("1-2", 7, /*switched=*/true);
  tree_.AddHub("usb1", 4, /*switched=*/false);
  FakeUsbTree::Adapter adapter = FakeUsbTree::Cp2102("ttyUSB0");
  adapter.max_power_ma = 250;
  adapter.speed = "480";
  tree_.Plug("1-2.3", adapter);
  tree_.Plug("1-1", FakeUsbTree::Cp2102("ttyUSB1"));
  std::vector<FoundPort> ports = Ports();
  ASSERT_EQ(ports.size(), 2u);
  const UsbFacts& facts = *ports[1].usb;
  EXPECT_EQ(facts.topology, "1-2.3");
  EXPECT_EQ(facts.hub, "1-2");
  EXPECT_EQ(facts.hub_port, 3);
  EXPECT_EQ(facts.hub_ports, 7);
  EXPECT_EQ(facts.depth, 1);
  EXPECT_EQ(facts.speed_mbit, 480);
  EXPECT_EQ(facts.max_power_ma, 250);
  EXPECT_TRUE(facts.power_switch);
  EXPECT_FALSE(facts.own_driver);
  EXPECT_EQ(facts.kernel_driver, "cp210x");
  EXPECT_EQ(ports[0].usb->hub, "usb1");
  EXPECT_EQ(ports[0].usb->depth, 0);
  EXPECT_FALSE(ports[0].usb->power_switch);
}

TEST_F(UsbScanTest, TakesTheOwnDriverWhereItIsConfigured) {
  options_.port_drivers = {{"usb-1-3", UsbDriverSetting::kUser}};
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  tree_.Plug("1-3", FakeUsbTree::Cp2102("ttyUSB1"));
  EXPECT_THAT(Scan(), ElementsAre("usb-1-2 ttyUSB0", "usb-1-3 usb:1-3"));
  EXPECT_TRUE(Ports()[1].usb->own_driver);
}

TEST_F(UsbScanTest, TakesTheOwnDriverOnceNoTerminalCame) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102(""));
  FoundPort port = Ports()[0];
  EXPECT_TRUE(port.usable.ok());
  EXPECT_FALSE(port.usb->own_driver) << "the kernel's driver may still come";
  Settle();
  port = Ports()[0];
  EXPECT_TRUE(port.usable.ok());
  EXPECT_TRUE(port.usb->own_driver);
  EXPECT_THAT(port.usb->driver_reason, HasSubstr("no terminal"));
}

TEST_F(UsbScanTest, LatePermissionsDoNotMakeANewBoardUnusable) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  const std::string tty = tree_.dev() + "/ttyUSB0";
  Close(tty);
  Close(tree_.bus_file("1-2"));
  EXPECT_TRUE(Ports()[0].usable.ok()) << "udev has two seconds";
  clock_.Advance(kUsbSettleTime - absl::Milliseconds(1));
  EXPECT_TRUE(Ports()[0].usable.ok());
  clock_.Advance(absl::Milliseconds(1));
  const absl::Status usable = Ports()[0].usable;
  EXPECT_TRUE(errors::Is(usable, ErrorCode::kPortPermission)) << usable;
  EXPECT_THAT(std::string(usable.message()), HasSubstr("90-kiln.rules"));
  EXPECT_THAT(std::string(usable.message()), HasSubstr("ATTRS{idProduct}==\"ea60\""));
  closed_.clear();
  EXPECT_TRUE(Ports()[0].usable.ok());
}

TEST_F(UsbScanTest, NamesTheProgramThatHoldsABoard) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  tree_.AddProcess(812, "ModemManager", tree_.dev() + "/ttyUSB0");
  Settle();
  absl::Status usable = Ports()[0].usable;
  EXPECT_TRUE(errors::Is(usable, ErrorCode::kPortBusy)) << usable;
  EXPECT_THAT(std::string(usable.message()), HasSubstr("ModemManager (pid 812)"));
  tree_.EndProcess(812);
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(Ports()[0].usable.ok());
}

TEST_F(UsbScanTest, NamesTheProgramThatTookTheAdapterFromTheKernel) {
  FakeUsbTree::Adapter taken = FakeUsbTree::Cp2102("");
  taken.interfaces[0].driver = "usbfs";
  tree_.Plug("1-2", taken);
  Settle();
  EXPECT_THAT(std::string(Ports()[0].usable.message()), HasSubstr("another program has claimed"));
  tree_.AddProcess(900, "brltty", "");  // its files are not for everybody's eyes
  EXPECT_THAT(std::string(Ports()[0].usable.message()), HasSubstr("perhaps brltty (pid 900)"));
  // Claimed by this very process: one of its own streams.
  fs::create_symlink(fs::canonical(tree_.bus_file("1-2")), tree_.root() / "proc/self/fd/9");
  EXPECT_TRUE(Ports()[0].usable.ok());
}

TEST_F(UsbScanTest, AnOwnStreamThatEndsDuringTheLookIsNoOtherProgram) {
  FakeUsbTree::Adapter claimed = FakeUsbTree::Cp2102("");
  claimed.interfaces[0].driver = "usbfs";
  tree_.Plug("1-2", claimed);
  const fs::path own_file = tree_.root() / "proc/self/fd/9";
  fs::create_symlink(fs::canonical(tree_.bus_file("1-2")), own_file);
  Settle();
  // After the bus has been read, before the holders are asked for.
  before_check_ = [&] {
    fs::remove(tree_.device("1-2") / "1-2:1.0/driver");
    fs::remove(own_file);
  };
  EXPECT_TRUE(Ports()[0].usable.ok());
}

TEST_F(UsbScanTest, EspressifsNetworkInterfacesAreNoSerialPorts) {
  // The communications class of CDC-NCM (0d) and CDC-ECM (06).
  for (const char* subclass : {"0d", "06"}) {
    tree_.Plug("1-2",
               {.vendor = "303a",
                .product = "4007",
                .interfaces = {
                    {.number = "00", .class_code = "02", .subclass = subclass, .driver = "cdc_ncm"},
                    {.number = "01", .class_code = "0a", .driver = "cdc_ncm"}}});
    EXPECT_THAT(Scan(), IsEmpty()) << subclass;
  }
}

TEST(PortPatternTest, StarStandsForAnything) {
  for (const char* pattern :
       {"usb-1-2.3", "usb-1-2.*", "*", "usb-*.3", "*-1-*", "usb-1-2.3*", "**"}) {
    EXPECT_TRUE(MatchesPortPattern(pattern, "usb-1-2.3")) << pattern;
  }
  for (const char* pattern :
       {"", "usb-1-2", "usb-1-2.", "usb-1-2.*.*", "usb-2*", "*.4", "USB-1-2.3"}) {
    EXPECT_FALSE(MatchesPortPattern(pattern, "usb-1-2.3")) << pattern;
  }
}

TEST(UsbIdTest, ReadsWhatLsusbPrints) {
  ASSERT_TRUE(ParseUsbId("10C4:ea60").ok());
  EXPECT_EQ(ParseUsbId("10C4:ea60")->vendor, 0x10c4);
  EXPECT_EQ(ParseUsbId("10C4:ea60")->product, 0xea60);
  for (const char* text :
       {"", "10c4", "10c4:ea6", "10c4:ea600", "10c4-ea60", "xxxx:ea60", "10c:4ea60"}) {
    EXPECT_FALSE(ParseUsbId(text).ok()) << text;
  }
}

TEST(SerialPortsTest, AnAdapterThatIsNotSetUpYetHasItsFirstPort) {
  const ports::UsbAdapter* adapter = ports::FindUsbAdapter(0x10c4, 0xea70);  // CP2105
  ASSERT_NE(adapter, nullptr);
  EXPECT_EQ(SerialPortsOf(*adapter, {}).size(), 1u);
  std::vector<UsbInterface> many;
  for (uint8_t i = 0; i < 9; ++i) many.push_back({.number = i, .class_code = 0xff});
  EXPECT_EQ(SerialPortsOf(*adapter, many).size(), adapter->serial_ports);
}

}  // namespace
}  // namespace kiln::boards
