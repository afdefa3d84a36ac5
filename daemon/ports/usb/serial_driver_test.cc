#include "daemon/ports/usb/serial_driver.h"

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/ch34x_driver.h"
#include "daemon/ports/usb/cp210x_driver.h"
#include "daemon/ports/usb/fake_usb_device.h"
#include "daemon/ports/usb/ftdi_driver.h"
#include "daemon/ports/usb/ftdi_packets.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::ports {
namespace {

using errors::ErrorCode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Call = FakeUsbDevice::ControlCall;

constexpr uint16_t kFt232r = 0x0600;
constexpr uint16_t kFt2232h = 0x0700;
constexpr uint16_t kFt232h = 0x0900;
constexpr uint16_t kFtX = 0x1000;

// One adapter's driver on a device that answers nothing but what the test says.
class DriverBench {
 public:
  DriverBench(uint16_t vendor, uint16_t product, uint8_t interface = 0, uint16_t release = 0)
      : handle_(device.Open()) {
    layout_.control_interface = interface;
    layout_.in = {.address = 0x81, .is_bulk = true, .max_packet = 64};
    driver = MakeUsbSerialDriver(*FindUsbAdapter(vendor, product), layout_, release, *handle_);
  }

  // The calls that one action makes.
  template <typename Action>
  std::vector<Call> CallsOf(Action action) {
    device.ForgetControlCalls();
    const absl::Status status = action();
    EXPECT_TRUE(status.ok()) << status;
    return device.control_calls();
  }

  FakeUsbDevice device;

 private:
  std::unique_ptr<UsbDeviceHandle> handle_;
  UsbSerialLayout layout_;

 public:
  std::unique_ptr<UsbSerialDriver> driver;
};

// ---- CP210x -------------------------------------------------------------------------------------

// What SET_FLOW sends: no flow control, with the lines held. RTS stands twice, as one revision
// looks for it in the wrong place.
std::vector<uint8_t> FlowOf(uint8_t dtr, uint8_t rts) {
  return {dtr, 0, 0, 0, rts, 0, 0, 0, rts, 0, 0, 0, 0, 0, 0, 0};
}

TEST(Cp210xDriver, StartsTheUartAsAskedFor) {
  DriverBench bench(0x10c4, 0xea60);
  bench.device.Answer(0xff, {0x02});
  bench.device.Answer(0x08, {0x03});

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->Start(); }),
              ElementsAre(Call{{0xc0, 0xff, 0x370b, 0}, {}, 1},             // which part
                          Call{{0x41, 0x00, 0x0001, 0}, {}, 0},             // UART on
                          Call{{0x41, 0x03, 0x0800, 0}, {}, 0},             // 8N1
                          Call{{0x41, 0x1e, 0, 0}, {0x00, 0xc2, 1, 0}, 0},  // 115200
                          Call{{0x41, 0x15, 0, 0}, {}, 0},                  // no events in the data
                          Call{{0x41, 0x12, 0x000f, 0}, {}, 0},             // empty buffers
                          Call{{0xc1, 0x08, 0, 0}, {}, 1},                  // which lines
                          Call{{0x41, 0x13, 0, 0}, FlowOf(0x01, 0x40), 0}));  // no flow control
}

TEST(Cp210xDriver, EndsFlowControlWithTheLinesAsTheyAre) {
  for (const uint8_t lines : {0, 1, 2, 3}) {
    DriverBench bench(0x10c4, 0xea60);
    bench.device.Answer(0x08, {static_cast<uint8_t>(0xf0 | lines)});

    EXPECT_THAT(bench.CallsOf([&] { return bench.driver->Start(); }),
                Contains(Call{{0x41, 0x13, 0, 0},
                              FlowOf((lines & 1) != 0 ? 0x01 : 0, (lines & 2) != 0 ? 0x40 : 0),
                              0}));
  }
}

TEST(Cp210xDriver, StartsAPartThatKnowsNoFlowControl) {
  DriverBench bench(0x10c4, 0xea60);
  for (const uint8_t request : {0x08, 0x13, 0x15}) bench.device.RefuseRequest(request);

  EXPECT_TRUE(bench.driver->Start().ok());
}

TEST(Cp210xDriver, ChangesBothLinesInOneRequest) {
  DriverBench bench(0x10c4, 0xea60);

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(true, false); }),
              ElementsAre(Call{{0x41, 0x07, 0x0301, 0}, {}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(false, true); }),
              ElementsAre(Call{{0x41, 0x07, 0x0302, 0}, {}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(false, false); }),
              ElementsAre(Call{{0x41, 0x07, 0x0300, 0}, {}, 0}));
}

TEST(Cp210xDriver, NamesTheInterfaceOfADualAdapter) {
  DriverBench bench(0x10c4, 0xea70, 1);

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(true, true); }),
              ElementsAre(Call{{0x41, 0x07, 0x0303, 1}, {}, 0}));
}

TEST(Cp210xDriver, StartsAPartThatDoesNotTellItsNumber) {
  DriverBench bench(0x10c4, 0xea60);
  bench.device.RefuseRequest(0xff);

  EXPECT_TRUE(bench.driver->Start().ok());
  EXPECT_TRUE(bench.driver->SetBaudRate(921'600).ok());
  EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(1'500'000), ErrorCode::kBaudRateUnsupported));
}

TEST(Cp210xDriver, KnowsWhatEachPartMakes) {
  struct {
    uint8_t part;
    uint16_t interface;
    uint32_t asked;
    double made;  // 0: beyond its range
  } const kRates[] = {
      {0x02, 0, 115'200, 115'200},     {0x02, 0, 921'600, 921'600},
      {0x02, 0, 1'000'000, 921'600},   {0x02, 0, 700'000, 921'600},
      {0x02, 0, 1'500'000, 0},         {0x04, 0, 1'500'000, 1'500'000},
      {0x04, 0, 2'000'000, 2'000'000}, {0x04, 0, 3'000'000, 0},
      {0x04, 0, 460'800, 461'538},     {0x04, 0, 300, 300},
      {0x05, 0, 2'000'000, 2'000'000}, {0x05, 1, 2'000'000, 0},
      {0x05, 1, 921'600, 921'600},     {0x05, 1, 1'200, 0},
      {0x08, 3, 2'000'000, 2'000'000}, {0x20, 0, 3'000'000, 3'000'000},
      {0x22, 0, 921'600, 923'077},     {0x20, 0, 4'000'000, 0},
  };
  for (const auto& rate : kRates) {
    EXPECT_NEAR(Cp210xRate(rate.part, rate.interface, rate.asked), rate.made, 1)
        << "part " << int{rate.part} << ", " << rate.asked;
  }
}

TEST(Cp210xDriver, RefusesARateTheChipTurnsIntoAnother) {
  DriverBench bench(0x10c4, 0xea60);
  bench.device.Answer(0xff, {0x02});
  ASSERT_TRUE(bench.driver->Start().ok());
  bench.device.ForgetControlCalls();

  EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(700'000), ErrorCode::kBaudRateUnsupported));
  EXPECT_THAT(bench.device.control_calls(), IsEmpty());
}

TEST(Cp210xDriver, AsksForTheBytesNotYetSent) {
  DriverBench bench(0x10c4, 0xea60);
  std::vector<uint8_t> status(19);
  status[12] = 7;
  bench.device.Answer(0x10, status);
  EXPECT_EQ(*bench.driver->Output(), UsbOutput::kHolding);
  status[12] = 0;
  status[8] = 7;  // the input queue
  bench.device.Answer(0x10, status);
  EXPECT_EQ(*bench.driver->Output(), UsbOutput::kEmpty);
  bench.device.Answer(0x10, {0, 0});
  EXPECT_EQ(*bench.driver->Output(), UsbOutput::kUnknown);
}

// ---- CH34x --------------------------------------------------------------------------------------

TEST(Ch34xDriver, StartsTheChip) {
  DriverBench bench(0x1a86, 0x7523);
  bench.device.Answer(0x5f, {0x31, 0x00});

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->Start(); }),
              ElementsAre(Call{{0xc0, 0x5f, 0, 0}, {}, 2}, Call{{0x40, 0xa1, 0, 0}, {}, 0},
                          Call{{0x40, 0x9a, 0x1312, 0xcc83}, {}, 0},    // 6 MHz / 52
                          Call{{0x40, 0x9a, 0x2518, 0x00c3}, {}, 0}));  // 8N1
}

TEST(Ch34xDriver, LeavesOutWhatOldRevisionsLack) {
  DriverBench bench(0x1a86, 0x7523);
  bench.device.Answer(0x5f, {0x27, 0x00});

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->Start(); }),
              ElementsAre(Call{{0xc0, 0x5f, 0, 0}, {}, 2}, Call{{0x40, 0xa1, 0, 0}, {}, 0},
                          Call{{0x40, 0x9a, 0x1312, 0xcc03}, {}, 0}));
}

TEST(Ch34xDriver, SendsTheLinesInvertedInOneRequest) {
  DriverBench bench(0x1a86, 0x7523);

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(true, true); }),
              ElementsAre(Call{{0x40, 0xa4, 0xff9f, 0}, {}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(true, false); }),
              ElementsAre(Call{{0x40, 0xa4, 0xffdf, 0}, {}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(false, false); }),
              ElementsAre(Call{{0x40, 0xa4, 0xffff, 0}, {}, 0}));
}

TEST(Ch34xDriver, FindsTheDivisorOfEveryUsualRate) {
  struct {
    uint32_t asked;
    uint8_t prescaler;
    int divisor;
  } const kRates[] = {
      {9'600, 2, 78},    {115'200, 3, 52},  {230'400, 3, 26},  {460'800, 3, 13},  {921'600, 7, 13},
      {1'000'000, 3, 6}, {1'500'000, 3, 4}, {2'000'000, 3, 3}, {3'000'000, 3, 2}, {110, 0, 107},
  };
  for (const auto& rate : kRates) {
    const auto found = FindCh34xDivisor(rate.asked);
    ASSERT_TRUE(found.has_value()) << rate.asked;
    EXPECT_EQ(found->prescaler, rate.prescaler) << rate.asked;
    EXPECT_EQ(256 - found->divisor, rate.divisor) << rate.asked;
    EXPECT_NEAR(found->made, rate.asked, rate.asked * 0.005) << rate.asked;
  }
  EXPECT_FALSE(FindCh34xDivisor(45).has_value());
  EXPECT_FALSE(FindCh34xDivisor(3'000'001).has_value());
}

TEST(Ch34xDriver, RefusesRatesBetweenItsDivisors) {
  DriverBench bench(0x1a86, 0x7523);

  EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(2'500'000), ErrorCode::kBaudRateUnsupported));
  EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(4'000'000), ErrorCode::kBaudRateUnsupported));
  EXPECT_THAT(bench.device.control_calls(), IsEmpty());
}

// ---- FTDI ---------------------------------------------------------------------------------------

TEST(FtdiDriver, StartsAnOldSingleChip) {
  DriverBench bench(0x0403, 0x6001, 0, kFt232r);

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->Start(); }),
              ElementsAre(Call{{0x40, 0, 0, 0}, {}, 0},         // reset
                          Call{{0x40, 4, 8, 0}, {}, 0},         // 8N1
                          Call{{0x40, 2, 0, 0}, {}, 0},         // no flow control
                          Call{{0x40, 9, 1, 0}, {}, 0},         // 1 ms
                          Call{{0x40, 3, 0x001a, 0}, {}, 0}));  // 3 MHz / 26
}

TEST(FtdiDriver, NamesTheChannelOfADualChip) {
  DriverBench bench(0x0403, 0x6010, 1, kFt2232h);

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(true, true); }),
              ElementsAre(Call{{0x40, 1, 0x0303, 2}, {}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetBaudRate(115'200); }),
              ElementsAre(Call{{0x40, 3, 0xc068, 0x0202}, {}, 0}));  // 12 MHz / 104.125
}

TEST(FtdiDriver, ChangesBothLinesInOneRequest) {
  DriverBench bench(0x0403, 0x6001, 0, kFt232r);

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(true, false); }),
              ElementsAre(Call{{0x40, 1, 0x0301, 0}, {}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(false, true); }),
              ElementsAre(Call{{0x40, 1, 0x0302, 0}, {}, 0}));
}

TEST(FtdiDriver, PutsTheUpperBitsOfTheDivisorWhereTheChipReadsThem) {
  struct {
    uint16_t product;
    uint16_t release;
    uint32_t baud;
    uint16_t value;
    uint16_t index;
  } const kRates[] = {
      // 24 MHz / 417 eighths: 52, and 1/8, whose code is 3. The code's upper bit is 0 here …
      {0x6001, kFt232r, 57'554, 0xc034, 0x0000},
      // … and 1 for 5/8: 52.625
      {0x6001, kFt232r, 57'007, 0x4034, 0x0001},
      {0x6015, kFtX, 57'007, 0x4034, 0x0101},
      {0x6014, kFt232h, 921'600, 0x000d, 0x0201},
      {0x6014, kFt232h, 600, 0x1388, 0x0001},  // below the fast clock's reach
  };
  for (const auto& rate : kRates) {
    DriverBench bench(0x0403, rate.product, 0, rate.release);
    EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetBaudRate(rate.baud); }),
                ElementsAre(Call{{0x40, 3, rate.value, rate.index}, {}, 0}))
        << rate.baud;
  }
}

TEST(FtdiDriver, EncodesFastRatesAsTheSpecialCasesTheyAre) {
  struct {
    bool high_speed;
    uint32_t asked;
    uint32_t encoded;
    double made;
  } const kRates[] = {
      {false, 3'000'000, 0, 3'000'000},        {false, 2'000'000, 1, 2'000'000},
      {false, 1'500'000, 2, 1'500'000},        {false, 1'200'000, 0x4002, 1'200'000},
      {false, 1'000'000, 3, 1'000'000},        {false, 921'600, 0x8003, 923'076},
      {true, 12'000'000, 0x20000, 12'000'000}, {true, 8'000'000, 0x20001, 8'000'000},
      {true, 6'000'000, 0x20002, 6'000'000},   {true, 3'000'000, 0x20004, 3'000'000},
      {true, 2'000'000, 0x20006, 2'000'000},
  };
  for (const auto& rate : kRates) {
    const FtdiDivisor found = FindFtdiDivisor(rate.high_speed, rate.asked);
    EXPECT_EQ(found.encoded, rate.encoded) << rate.asked;
    EXPECT_NEAR(found.made, rate.made, 1) << rate.asked;
  }
}

TEST(FtdiDriver, RefusesRatesBetweenTheFastest) {
  DriverBench bench(0x0403, 0x6001, 0, kFt232r);

  EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(2'500'000), ErrorCode::kBaudRateUnsupported));
  EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(4'000'000), ErrorCode::kBaudRateUnsupported));
  EXPECT_THAT(bench.device.control_calls(), IsEmpty());
}

TEST(FtdiDriver, TakesTheStatusOutOfEveryPacket) {
  std::vector<uint8_t> transfer = {0x01, 0x60, 'a', 'b', 0x01, 0x60, 'c', 'd', 0x02, 0x20, 'e'};
  std::vector<uint8_t> bytes;

  EXPECT_EQ(UnpackFtdi(transfer, 4, bytes), 0x2002);
  EXPECT_THAT(bytes, ElementsAre('a', 'b', 'c', 'd', 'e'));
}

TEST(FtdiDriver, ThinksTheTransmitterEmptyOnlyAfterFreshReports) {
  DriverBench bench(0x0403, 0x6001, 0, kFt232r);
  std::vector<uint8_t> bytes;
  bench.driver->Unpack(std::vector<uint8_t>{0x01, 0x60}, bytes);
  bench.driver->BeginDrain();
  EXPECT_EQ(*bench.driver->Output(), UsbOutput::kHolding);
  bench.driver->Unpack(std::vector<uint8_t>{0x01, 0x60}, bytes);
  EXPECT_EQ(*bench.driver->Output(), UsbOutput::kHolding);
  bench.driver->Unpack(std::vector<uint8_t>{0x01, 0x00}, bytes);
  EXPECT_EQ(*bench.driver->Output(), UsbOutput::kHolding);
  bench.driver->Unpack(std::vector<uint8_t>{0x01, 0x60}, bytes);
  EXPECT_EQ(*bench.driver->Output(), UsbOutput::kEmpty);
  EXPECT_THAT(bytes, IsEmpty());
}

// ---- CDC-ACM ------------------------------------------------------------------------------------

TEST(CdcAcmDriver, SendsLineCodingAndLinesToTheControlInterface) {
  DriverBench bench(0x1a86, 0x55d4, 2);

  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->Start(); }),
              ElementsAre(Call{{0x21, 0x20, 0, 2}, {0x00, 0xc2, 0x01, 0x00, 0, 0, 8}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetBaudRate(3'000'000); }),
              ElementsAre(Call{{0x21, 0x20, 0, 2}, {0xc0, 0xc6, 0x2d, 0x00, 0, 0, 8}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(true, true); }),
              ElementsAre(Call{{0x21, 0x22, 3, 2}, {}, 0}));
  EXPECT_THAT(bench.CallsOf([&] { return bench.driver->SetLines(false, true); }),
              ElementsAre(Call{{0x21, 0x22, 2, 2}, {}, 0}));
}

TEST(CdcAcmDriver, RefusesRatesBeyondTheDataSheet) {
  DriverBench bench(0x1a86, 0x55d4);
  EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(6'000'000), ErrorCode::kBaudRateUnsupported));
  EXPECT_TRUE(bench.driver->SetBaudRate(4'000'000).ok());
}

// ---- All ----------------------------------------------------------------------------------------

TEST(UsbSerialDriver, TellsAnUnplugFromARefusal) {
  for (const UsbAdapter& adapter : AllUsbAdapters()) {
    if (adapter.driver == UsbDriver::kKernelOnly) continue;
    DriverBench bench(adapter.vendor, adapter.product);
    bench.device.Unplug();
    EXPECT_TRUE(errors::Is(bench.driver->Start(), ErrorCode::kBoardUnplugged)) << adapter.name;
    EXPECT_TRUE(errors::Is(bench.driver->SetLines(true, true), ErrorCode::kBoardUnplugged));
    EXPECT_TRUE(errors::Is(bench.driver->SetBaudRate(9'600), ErrorCode::kBoardUnplugged));
  }
}

}  // namespace
}  // namespace kiln::ports
