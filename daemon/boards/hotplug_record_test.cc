#include "daemon/boards/hotplug_record.h"

#include <string>

#include "daemon/boards/fake_usb_tree.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

using ::testing::HasSubstr;

TEST(HotplugModeTest, UdevNeedsARunningUdev) {
  FakeUsbTree tree;
  const std::string run = (tree.root() / "run").string();
  EXPECT_EQ(DetectHotplugMode(true, /*libusb_uses_udev=*/true, run), HotplugMode::kPoll);
  FakeUsbTree::Write(tree.root() / "run/udev/control", "");
  EXPECT_EQ(DetectHotplugMode(true, /*libusb_uses_udev=*/true, run), HotplugMode::kUdev);
  EXPECT_EQ(DetectHotplugMode(true, /*libusb_uses_udev=*/false, run), HotplugMode::kNetlink);
  EXPECT_EQ(DetectHotplugMode(false, /*libusb_uses_udev=*/true, run), HotplugMode::kPoll);
}

TEST(HotplugRecordTest, SaysWhichWayFoundTheLastBoard) {
  HotplugRecord record(HotplugMode::kUdev);
  EXPECT_THAT(record.Describe(), HasSubstr("expected from udev"));
  record.EventCame();
  record.BoardFound(FoundBy::kEvent);
  EXPECT_THAT(record.Describe(), HasSubstr("by an event (udev)"));
  record.BoardFound(FoundBy::kScan);
  EXPECT_THAT(record.Describe(), HasSubstr("by the scan"));
  EXPECT_EQ(record.mode(), HotplugMode::kUdev) << "one lost event is no dead udev";
}

TEST(HotplugRecordTest, DoesNotBelieveInEventsThatNeverCome) {
  HotplugRecord record(HotplugMode::kNetlink);
  EXPECT_EQ(record.mode(), HotplugMode::kNetlink);
  record.BoardFound(FoundBy::kScan);
  EXPECT_EQ(record.mode(), HotplugMode::kPoll);
  record.EventCame();
  EXPECT_EQ(record.mode(), HotplugMode::kNetlink);
}

}  // namespace
}  // namespace kiln::boards
