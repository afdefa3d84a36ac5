#include "daemon/ports/usb/adapters.h"

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "daemon/ports/byte_stream.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

TEST(UsbAdapters, AreEachInTheTableOnceAndComplete) {
  std::set<std::pair<int, int>> seen;
  for (const UsbAdapter& adapter : AllUsbAdapters()) {
    EXPECT_TRUE(seen.emplace(adapter.vendor, adapter.product).second) << adapter.name;
    EXPECT_FALSE(adapter.name.empty());
    EXPECT_GE(adapter.serial_ports, 1) << adapter.name;
    EXPECT_LE(adapter.serial_ports, 4) << adapter.name;
    EXPECT_GE(adapter.max_baud, 921'600U) << adapter.name;
    EXPECT_EQ(FindUsbAdapter(adapter.vendor, adapter.product), &adapter);
  }
}

TEST(UsbAdapters, GoToTheDriverOfTheirMaker) {
  EXPECT_EQ(FindUsbAdapter(0x10c4, 0xea60)->driver, UsbDriver::kCp210x);
  EXPECT_EQ(FindUsbAdapter(0x1a86, 0x7523)->driver, UsbDriver::kCh34x);
  EXPECT_EQ(FindUsbAdapter(0x1a86, 0x55d4)->driver, UsbDriver::kCdcAcm);
  EXPECT_EQ(FindUsbAdapter(0x0403, 0x6010)->driver, UsbDriver::kFtdi);
  EXPECT_EQ(FindUsbAdapter(0x0403, 0x6010)->serial_ports, 2);
  EXPECT_EQ(FindUsbAdapter(0x303a, 0x1001)->link, LinkKind::kUsbSerialJtag);
  EXPECT_EQ(FindUsbAdapter(0x303a, 0x0009)->link, LinkKind::kUsbOtg);
  EXPECT_EQ(FindUsbAdapter(0x067b, 0x2303)->driver, UsbDriver::kKernelOnly);
}

// The rules give a node to the station's group when they have a line with its vendor that names the
// product or none.
TEST(UsbAdapters, AreGivenToTheStationByTheUdevRules) {
  std::ifstream file("deploy/udev/90-kiln.rules");
  std::map<std::string, std::string> products;  // "ea60|ea61" by "10c4"
  const std::regex rule(
      "ATTR\\{idVendor\\}==\"(....)\", (?:ATTR\\{idProduct\\}==\"([^\"]*)\", )?"
      "GOTO=\"kiln_board\"");
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (std::regex_match(line, match, rule)) products[match[1]] = match[2];
  }
  for (const UsbAdapter& adapter : AllUsbAdapters()) {
    const auto found = products.find(absl::StrFormat("%04x", adapter.vendor));
    ASSERT_NE(found, products.end()) << adapter.name;
    EXPECT_TRUE(found->second.empty() ||
                absl::StrContains(found->second, absl::StrFormat("%04x", adapter.product)))
        << adapter.name;
  }
}

TEST(UsbAdapters, ForeignDevicesAreNotFound) {
  EXPECT_EQ(FindUsbAdapter(0x046d, 0xc52b), nullptr);
  EXPECT_EQ(FindUsbAdapter(0x10c4, 0xea62), nullptr);
  EXPECT_EQ(FindUsbAdapter(0x046d, 0xc52b, true), nullptr);
}

TEST(UsbAdapters, AnyCdcDeviceOfEspressifIsAChip) {
  EXPECT_EQ(FindUsbAdapter(0x303a, 0x8001, false), nullptr);
  const UsbAdapter* adapter = FindUsbAdapter(0x303a, 0x8001, true);
  ASSERT_NE(adapter, nullptr);
  EXPECT_EQ(adapter->driver, UsbDriver::kCdcAcm);
  EXPECT_EQ(adapter->link, LinkKind::kUsbOtg);
  EXPECT_EQ(FindUsbAdapter(0x303a, 0x1001, true)->link, LinkKind::kUsbSerialJtag);
}

}  // namespace
}  // namespace kiln::ports
