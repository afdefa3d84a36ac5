#include "daemon/usb_serial_number.h"

#include <string>

#include "daemon/boards/fake_usb_tree.h"
#include "gtest/gtest.h"

namespace kiln::daemon {
namespace {

using boards::FakeUsbTree;

class UsbSerialNumberTest : public ::testing::Test {
 protected:
  UsbSerialNumberTest() { tree_.Plug("1-2.3", FakeUsbTree::Cp2102("ttyUSB0")); }

  std::string MacOf(const std::string& attribute) {
    FakeUsbTree::Write(tree_.root() / "sys/bus/usb/devices/1-2.3/serial", attribute);
    return MacOfUsbSerialNumber(tree_.sysfs(), "1-2.3");
  }

  FakeUsbTree tree_;
};

TEST_F(UsbSerialNumberTest, IsAMacWithOrWithoutColons) {
  EXPECT_EQ(MacOf("7C:DF:A1:00:0B:01\n"), "7c:df:a1:00:0b:01");
  EXPECT_EQ(MacOf("7CDFA1000B01\n"), "7c:df:a1:00:0b:01");
  EXPECT_EQ(MacOf("7cdfa1000b01"), "7c:df:a1:00:0b:01");
}

TEST_F(UsbSerialNumberTest, IsNoMacInAnyOtherForm) {
  for (const char* const serial :
       {"", "\n", "0\n", "123456\n", "7CDFA1000B0\n", "7CDFA1000B012\n", "7CDFA1000B0G\n",
        "7CDFA1 00B01\n", "7CDFA1000B01 and much more than a serial number of that kind\n",
        "\xE0\xB8\x81\xE0\xB8\x82\xE0\xB8\x83\xE0\xB8\x84\n"}) {
    EXPECT_EQ(MacOf(serial), "") << serial;
  }
}

TEST_F(UsbSerialNumberTest, IsNoneWhereNothingIsOrThePlaceIsNone) {
  EXPECT_EQ(MacOfUsbSerialNumber(tree_.sysfs(), "1-2.3"), "");
  EXPECT_EQ(MacOfUsbSerialNumber(tree_.sysfs(), "1-4"), "");
  EXPECT_EQ(MacOf("7CDFA1000B01\n"), "7c:df:a1:00:0b:01");
  EXPECT_EQ(MacOfUsbSerialNumber(tree_.sysfs(), "../devices/1-2.3"), "");
}

}  // namespace
}  // namespace kiln::daemon
