#include "daemon/boards/usb_port_opener.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/boards/eventful_clock.h"
#include "daemon/boards/fake_usb_tree.h"
#include "daemon/boards/settle_time.h"
#include "daemon/boards/usb_bus.h"
#include "daemon/ports/fake_byte_stream.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class UsbPortOpenerTest : public ::testing::Test {
 protected:
  UsbPortOpenerTest() {
    drivers_.sysfs_root = tree_.sysfs();
    drivers_.dev_root = tree_.dev();
    drivers_.proc_root = tree_.proc();
    drivers_.terminal = [this](const std::string& path) {
      opened_.push_back(path.substr(path.rfind('/') + 1));
      return std::make_unique<ports::FakeStreamOpener>(wire_);
    };
    drivers_.own = [this](const ports::UsbPlace& place, const ports::UsbAdapter& adapter) {
      opened_.push_back(absl::StrCat("own ", static_cast<int>(place.bus), "-",
                                     static_cast<int>(place.hub_ports.back()), " number ",
                                     static_cast<int>(place.device_number), " port ",
                                     static_cast<int>(place.serial_port), " ",
                                     adapter.vendor == place.vendor ? "" : "of another maker"));
      return std::make_unique<ports::FakeStreamOpener>(wire_);
    };
  }

  // The opener of what is plugged in now, as the scan makes it.
  std::unique_ptr<UsbPortOpener> Opener(UsbDriverSetting setting = UsbDriverSetting::kAuto,
                                        bool settled = true, uint8_t serial_port = 0) {
    const auto device = UsbBus(tree_.sysfs()).DeviceAt("1-2");
    EXPECT_TRUE(device.has_value());
    return std::make_unique<UsbPortOpener>(
        drivers_,
        UsbPortPlace{
            .topology = "1-2",
            .serial_port = serial_port,
            .instance = device->instance,
            .setting = setting,
            .settled_at = clock_.Monotonic() + (settled ? absl::ZeroDuration() : kUsbSettleTime)},
        "usb:1-2", clock_);
  }

  FakeUsbTree tree_;
  EventfulClock clock_;
  ports::FakeWire wire_;
  UsbDrivers drivers_;
  std::vector<std::string> opened_;
};

TEST_F(UsbPortOpenerTest, OpensTheTerminalOrTheOwnDriver) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  ASSERT_TRUE(Opener()->Open().ok());
  ASSERT_TRUE(Opener(UsbDriverSetting::kUser)->Open().ok());
  EXPECT_THAT(opened_, ElementsAre("ttyUSB0", "own 1-2 number 1 port 0 "));
}

TEST_F(UsbPortOpenerTest, WaitsForTheTerminalOfABoardThatHasJustCome) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102(""));
  const auto opener = Opener(UsbDriverSetting::kAuto, /*settled=*/false);
  int sleeps = 0;
  clock_.on_sleep = [&] {
    if (++sleeps == 3) {
      FakeUsbTree::Write(tree_.device("1-2") / "1-2:1.0/ttyUSB4/dev", "188:4");
      FakeUsbTree::Write(tree_.root() / "dev/ttyUSB4", "");
    }
  };
  ASSERT_TRUE(opener->Open().ok());
  EXPECT_THAT(opened_, ElementsAre("ttyUSB4"));
  EXPECT_EQ(sleeps, 3);
}

TEST_F(UsbPortOpenerTest, TakesTheOwnDriverWhenNoTerminalCameInTime) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102(""));
  const absl::Duration start = clock_.Monotonic();
  ASSERT_TRUE(Opener(UsbDriverSetting::kAuto, /*settled=*/false)->Open().ok());
  EXPECT_THAT(opened_, ElementsAre("own 1-2 number 1 port 0 "));
  EXPECT_EQ(clock_.Monotonic() - start, kUsbSettleTime);
}

TEST_F(UsbPortOpenerTest, WaitsLongerEachTimeForWhatDoesNotCome) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102(""));
  std::vector<int64_t> pauses;
  absl::Duration last = clock_.Monotonic();
  clock_.on_sleep = [&] {
    pauses.push_back(
        absl::ToInt64Milliseconds(clock_.Monotonic() - std::exchange(last, clock_.Monotonic())));
  };
  ASSERT_TRUE(Opener(UsbDriverSetting::kAuto, /*settled=*/false)->Open().ok());
  // Two seconds altogether.
  EXPECT_THAT(pauses, ElementsAre(10, 20, 40, 80, 160, 200, 200, 200, 200, 200, 200, 200, 200, 90));
}

TEST_F(UsbPortOpenerTest, SaysWhichUdevRuleIsMissing) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  drivers_.check_file = [](const std::string& path) {
    return errors::MakeError(ErrorCode::kPortPermission, "may not open " + path);
  };
  const absl::Duration start = clock_.Monotonic();
  for (const auto setting : {UsbDriverSetting::kKernel, UsbDriverSetting::kUser}) {
    const absl::Status status = Opener(setting, /*settled=*/false)->Open().status();
    EXPECT_TRUE(errors::Is(status, ErrorCode::kPortPermission)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("90-kiln.rules"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("ATTRS{idVendor}==\"10c4\""));
  }
  EXPECT_EQ(clock_.Monotonic() - start, 2 * kUsbSettleTime) << "udev has time";
  EXPECT_THAT(opened_, IsEmpty());
}

TEST_F(UsbPortOpenerTest, RefusesWhatWasPluggedInLater) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  const auto opener = Opener();
  EXPECT_TRUE(opener->Present());
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  EXPECT_FALSE(opener->Present());
  EXPECT_TRUE(errors::Is(opener->Open().status(), ErrorCode::kBoardUnplugged));
  tree_.Unplug("1-2");
  EXPECT_TRUE(errors::Is(opener->Open().status(), ErrorCode::kBoardNotFound));
  EXPECT_THAT(opened_, IsEmpty());
}

TEST_F(UsbPortOpenerTest, DoesNotTearATerminalOutOfAnotherProgramsHands) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  tree_.AddProcess(77, "kilnd", tree_.dev() + "/ttyUSB0");
  const absl::Status status = Opener(UsbDriverSetting::kUser)->Open().status();
  EXPECT_TRUE(errors::Is(status, ErrorCode::kPortBusy)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("kilnd (pid 77)"));
  EXPECT_THAT(opened_, IsEmpty());
}

TEST_F(UsbPortOpenerTest, SaysWhenAnAdapterLacksThePort) {
  tree_.Plug("1-2", FakeUsbTree::Cp2102("ttyUSB0"));
  EXPECT_TRUE(errors::Is(Opener(UsbDriverSetting::kAuto, true, 1)->Open().status(),
                         ErrorCode::kBoardNotFound));
}

}  // namespace
}  // namespace kiln::boards
