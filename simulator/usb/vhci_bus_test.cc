#include "simulator/usb/vhci_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kiln::simulator {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Files as the kernel makes them, for two controllers of two ports each.
class VhciBusTest : public ::testing::Test {
 protected:
  VhciBusTest() {
    std::string folder = (fs::temp_directory_path() / "vhci-XXXXXX").string();
    root_ = ::mkdtemp(folder.data());
  }
  ~VhciBusTest() override { fs::remove_all(root_); }

  void WriteFile(const std::string& path, const std::string& text) {
    const fs::path whole = root_ / path;
    fs::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }

  void MakeControllers() {
    const std::string head = "hub port sta spd dev      sockfd local_busid\n";
    WriteFile("devices/platform/vhci_hcd.0/status", head +
                                                        "hs  0000 006 002 00010002 000003 3-1\n"
                                                        "hs  0001 004 000 00000000 000000 0-0\n"
                                                        "ss  0002 004 000 00000000 000000 0-0\n");
    WriteFile("devices/platform/vhci_hcd.0/status.1", head +
                                                          "hs  0004 004 000 00000000 000000 0-0\n"
                                                          "hs  0005 004 000 00000000 000000 0-0\n"
                                                          "ss  0006 004 000 00000000 000000 0-0\n");
    WriteFile("devices/platform/vhci_hcd.0/usb4/speed", "5000\n");
    WriteFile("devices/platform/vhci_hcd.0/usb3/speed", "480\n");
    WriteFile("devices/platform/vhci_hcd.1/usb5/speed", "480\n");
    WriteFile("devices/platform/vhci_hcd.0/attach", "");
  }

  fs::path root_;
};

TEST_F(VhciBusTest, GivesFreePortsOfAllControllersEachOnce) {
  MakeControllers();
  VhciBus bus(root_.string());
  const absl::StatusOr<VhciPort> first = bus.Reserve();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->number, 1);
  EXPECT_EQ(first->place, "3-2");
  const absl::StatusOr<VhciPort> second = bus.Reserve();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->number, 4);
  EXPECT_EQ(second->place, "5-1");
  ASSERT_TRUE(bus.Reserve().ok());
  EXPECT_EQ(bus.Reserve().status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(VhciBusTest, SaysWhichModuleIsMissing) {
  VhciBus bus(root_.string());
  const absl::Status status = bus.Reserve().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("modprobe vhci_hcd"));
}

TEST_F(VhciBusTest, AttachesWithPortSocketDeviceAndSpeed) {
  MakeControllers();
  VhciBus bus(root_.string());
  ASSERT_TRUE(bus.Attach({.number = 4, .place = "5-1"}, 17, UsbSpeed::kFull).ok());
  std::ifstream file(root_ / "devices/platform/vhci_hcd.0/attach");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "4 17 65538 2");
}

}  // namespace
}  // namespace kiln::simulator
