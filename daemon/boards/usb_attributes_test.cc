#include "daemon/boards/usb_attributes.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

using ::testing::ElementsAre;

TEST(UsbTopologyTest, ReadsThePlacesTheKernelNames) {
  const std::optional<UsbTopology> topology = ParseTopology("12-3.4.15");
  ASSERT_TRUE(topology.has_value());
  EXPECT_EQ(topology->bus, 12);
  EXPECT_THAT(topology->hub_ports, ElementsAre(3, 4, 15));
  EXPECT_EQ(topology->name(), "12-3.4.15");
  EXPECT_EQ(topology->hub(), "12-3.4");
  EXPECT_EQ(ParseTopology("1-2")->hub(), "usb1");
  EXPECT_TRUE(ParseTopology("1-1.2.3.4.5.6").has_value());
}

TEST(UsbTopologyTest, TakesNothingElse) {
  for (const char* name : {"",
                           "usb1",
                           "1",
                           "1-",
                           "-1",
                           "1-2:1.0",
                           "1-2.",
                           "1-.2",
                           "1-0",
                           "0-1",
                           "01-2",
                           "1-02",
                           "1-256",
                           "256-1",
                           "1-2..3",
                           "1-2-3",
                           "1-2.3 ",
                           " 1-2",
                           "1-+2",
                           "1-2/../3",
                           "..",
                           "1-1.2.3.4.5.6.7",
                           "1-99999999999999999999999999999999"}) {
    EXPECT_FALSE(ParseTopology(name).has_value()) << name;
  }
  EXPECT_FALSE(ParseTopology(absl::string_view("1-2\0.3", 6)).has_value());
}

class UsbDeviceTest : public ::testing::Test {
 protected:
  std::optional<UsbAttributes> Parse() {
    return ParseUsbDevice(
        "1-2", [this](absl::string_view name) { return attributes_[std::string(name)]; });
  }
  std::map<std::string, std::string> attributes_ = {
      {"idVendor", "10c4\n"}, {"idProduct", "ea60\n"}, {"devnum", "7\n"}, {"speed", "480\n"}};
};

TEST_F(UsbDeviceTest, ReadsWhatADeviceSays) {
  std::string descriptors("\x12\x01", 2);
  descriptors.resize(18);
  descriptors += std::string("\x09\x02\x20\x00\x01\x01\x00\x80\x32", 9);
  attributes_["descriptors"] = descriptors;
  const std::optional<UsbAttributes> device = Parse();
  ASSERT_TRUE(device.has_value());
  EXPECT_EQ(device->vendor, 0x10c4);
  EXPECT_EQ(device->product, 0xea60);
  EXPECT_EQ(device->device_number, 7);
  EXPECT_EQ(device->speed_mbit, 480);
  EXPECT_EQ(device->max_power_ma, 100);
  EXPECT_EQ(MaxPowerMilliamps(descriptors, 5000), 400) << "SuperSpeed counts in 8 mA";
}

TEST_F(UsbDeviceTest, RefusesADeviceWithoutAnIdentity) {
  struct Case {
    const char* attribute;
    const char* value;
  };
  for (const Case& c :
       {Case{"idVendor", ""}, Case{"idVendor", "10c"}, Case{"idVendor", "10c4x"},
        Case{"idVendor", "0x1c"}, Case{"idProduct", "-a60"}, Case{"idProduct", "ea6 "},
        Case{"devnum", "0"}, Case{"devnum", "128"}, Case{"devnum", "-1"}, Case{"devnum", "seven"},
        Case{"devnum", "99999999999"}}) {
    const auto saved = attributes_;
    attributes_[c.attribute] = c.value;
    EXPECT_FALSE(Parse().has_value()) << c.attribute << "=" << c.value;
    attributes_ = saved;
  }
}

TEST_F(UsbDeviceTest, TakesWhatIsOnlyForPeopleForUnknown) {
  attributes_["speed"] = "warp 9\n";
  attributes_["descriptors"] = "short";
  const std::optional<UsbAttributes> device = Parse();
  ASSERT_TRUE(device.has_value());
  EXPECT_EQ(device->speed_mbit, 0);
  EXPECT_EQ(device->max_power_ma, 0);
  EXPECT_EQ(MaxPowerMilliamps(std::string(27, '\x12'), 12), 0);
}

TEST(UsbInterfaceTest, NeedsANumber) {
  const auto parse = [](const std::string& number) {
    return ParseUsbInterface([&number](absl::string_view name) -> std::string {
      if (name == "bInterfaceNumber") return number;
      return name == "bInterfaceClass" ? "ff\n" : "zz\n";
    });
  };
  ASSERT_TRUE(parse("0a\n").has_value());
  EXPECT_EQ(parse("0a\n")->number, 10);
  EXPECT_EQ(parse("0a\n")->class_code, 0xff);
  EXPECT_EQ(parse("0a\n")->subclass, 0);
  EXPECT_FALSE(parse("").has_value());
  EXPECT_FALSE(parse("10a\n").has_value());
}

TEST(UsbNamesTest, OnlyWhatTheKernelCallsThings) {
  EXPECT_TRUE(IsUsbTtyName("ttyUSB0"));
  EXPECT_TRUE(IsUsbTtyName("ttyACM255"));
  for (const char* name :
       {"ttyUSB", "ttyS0", "ttyUSB/../../etc/passwd", "ttyUSB1x", "ttyUSB123456"}) {
    EXPECT_FALSE(IsUsbTtyName(name)) << name;
  }
  EXPECT_EQ(SafeDriverName("cdc_acm"), "cdc_acm");
  EXPECT_EQ(SafeDriverName("a b"), "");
  EXPECT_EQ(SafeDriverName(std::string(33, 'a')), "");
}

}  // namespace
}  // namespace kiln::boards
