#include "clients/cli/board_text.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::Board UsbBoard() {
  v1::Board board;
  board.set_port("usb-1-2.3");
  board.set_state(v1::Board::STATE_READY);
  board.set_address("/dev/ttyUSB0");
  board.set_adapter("CP210x (10c4:ea60)");
  v1::UsbConnection& usb = *board.mutable_usb();
  usb.set_vendor_id(0x10c4);
  usb.set_product_id(0xea60);
  usb.set_hub("1-2");
  usb.set_hub_port(3);
  usb.set_hub_port_count(7);
  usb.set_depth(1);
  usb.set_speed_mbps(12);
  usb.set_max_power_ma(100);
  usb.set_driver(v1::UsbConnection::DRIVER_KERNEL);
  usb.set_kernel_driver("cp210x");
  usb.set_driver_reason("as configured");
  return board;
}

std::string Row(const v1::Board& board, bool verbose) {
  const Texts texts(Language::kEnglish);
  Table table = BoardTable(texts, verbose);
  AddBoardRow(table, texts, board, verbose);
  return table.Render();
}

TEST(BoardTextTest, OnlyTheVerboseTableTellsOfTheBus) {
  EXPECT_THAT(Row(UsbBoard(), true), HasSubstr("1-2 port 3 of 7"));
  EXPECT_THAT(Row(UsbBoard(), true), HasSubstr("kernel (cp210x)"));
  EXPECT_THAT(Row(UsbBoard(), false), Not(HasSubstr("cp210x")));
  v1::Board elsewhere;
  elsewhere.set_port("bench");
  EXPECT_THAT(Row(elsewhere, true), Not(HasSubstr("Mbit")));
}

TEST(BoardTextTest, ShowsEverythingOfOneBoard) {
  v1::Board board = UsbBoard();
  const std::string text = DescribeBoard(board, Texts(Language::kEnglish));
  for (const char* part : {"usb-1-2.3\n", "10c4:ea60", "1-2 port 3 of 7", "12 Mbit/s",
                           "up to 100 mA", "kernel (cp210x): as configured"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  board.mutable_usb()->set_driver(v1::UsbConnection::DRIVER_KILN);
  board.mutable_usb()->set_speed_mbps(1.5);
  board.mutable_failure()->set_code("PORT_BUSY");
  board.mutable_failure()->set_detail("held by ModemManager (pid 812)");
  const std::string busy = DescribeBoard(board, Texts(Language::kEnglish));
  EXPECT_THAT(busy, HasSubstr("Kiln's own"));
  EXPECT_THAT(busy, HasSubstr("1.5 Mbit/s"));
  EXPECT_THAT(busy, HasSubstr("ModemManager (pid 812)"));
}

}  // namespace
}  // namespace kiln::cli
