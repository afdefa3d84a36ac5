#include "daemon/boards/bridge.h"

#include <string>

#include "gtest/gtest.h"

namespace kiln::boards {
namespace {

struct Case {
  const char* address;
  const char* adapter;
  const char* bridge;
};

TEST(BridgeTest, IsTheFamilyOfTheAdapter) {
  const Case cases[] = {
      {"/dev/ttyUSB0", "CP2102 USB to UART Bridge Controller (10c4:ea60)", "cp210x"},
      {"/dev/ttyUSB1", "USB Serial (1a86:7523)", "ch34x"},
      {"/dev/ttyACM0", "USB Single Serial (1a86:55d4)", "ch34x"},
      {"/dev/ttyUSB2", "FT232R USB UART (0403:6001)", "ftdi"},
      {"/dev/ttyACM1", "USB JTAG/serial debug unit (303a:1001)", "cdc_acm"},
      {"/dev/ttyUSB3", "(10c4:ea60)", "cp210x"},
      {"/dev/ttyUSB4", "Prolific (067b:2303)", "other"},
      {"/dev/ttyS0", "", "other"},
      {"/dev/ttyUSB5", "made by (0403:6001) somebody", "other"},
      {"/dev/ttyUSB6", "10c4:ea60", "other"},
      {"pty:///run/sim/A1", "", "pty"},
      {"socket://10.0.0.7:5555", "", "socket"},
      {"rfc2217://10.0.0.7:4000", "FT232R (0403:6001)", "socket"},
      {"", "", "other"},
  };
  for (const Case& c : cases) {
    BoardInfo board;
    board.address = c.address;
    board.adapter = c.adapter;
    EXPECT_EQ(std::string(BridgeOf(board)), c.bridge) << c.address << " " << c.adapter;
  }
}

TEST(BridgeTest, FollowsTheFactsWhereThereAreSome) {
  BoardInfo board;
  board.address = "usb:1-2";
  board.adapter = "somebody's (10c4:ea60)";
  board.usb = UsbFacts{.vendor = 0x4348, .product = 0x5523};
  EXPECT_EQ(std::string(BridgeOf(board)), "ch34x");
  board.usb->vendor = 0x067b;
  EXPECT_EQ(std::string(BridgeOf(board)), "other");
}

}  // namespace
}  // namespace kiln::boards
