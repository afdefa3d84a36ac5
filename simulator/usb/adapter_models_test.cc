// Requests in, decoded state out. The numbers are those that Linux' drivers, FTDI's application
// note and WCH's own drivers send for the rates named; no driver of Kiln's is involved.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "simulator/usb/cdc_acm_model.h"
#include "simulator/usb/ch340_model.h"
#include "simulator/usb/cp210x_model.h"
#include "simulator/usb/ftdi_model.h"
#include "simulator/usb/serial_peer.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using Bytes = std::vector<uint8_t>;

constexpr absl::Duration kNow = absl::Seconds(10);

std::unique_ptr<SerialPeer> Loopback() { return std::make_unique<LoopbackPeer>(); }

// A request without data towards the device; true when it was not stalled.
bool Send(UsbDeviceModel& model, const UsbSetup& setup, const Bytes& data = {}) {
  UsbSetup with_length = setup;
  with_length.length = static_cast<uint16_t>(data.size());
  return model.Control(kNow, with_length, data).has_value();
}

std::optional<Bytes> Read(UsbDeviceModel& model, const UsbSetup& setup) {
  return model.Control(kNow, setup, {});
}

struct RateCase {
  std::string name;
  UsbSetup setup;
  uint32_t rate;
};
void PrintTo(const RateCase& test, std::ostream* out) { *out << test.name; }

class FtdiRate : public ::testing::TestWithParam<RateCase> {};

TEST_P(FtdiRate, IsDecodedFromDivisorAndFraction) {
  FtdiModel model(Loopback());
  model.Plug(kNow);

  ASSERT_TRUE(Send(model, GetParam().setup));

  EXPECT_EQ(model.serial_port(0).state().baud_rate, GetParam().rate);
}

INSTANTIATE_TEST_SUITE_P(Table, FtdiRate,
                         ::testing::Values(RateCase{"9600", {0x40, 3, 0x4138, 0}, 9600},
                                           RateCase{"38400", {0x40, 3, 0xC04E, 0}, 38400},
                                           RateCase{"115200", {0x40, 3, 0x001A, 0}, 115385},
                                           RateCase{"230400", {0x40, 3, 0x000D, 0}, 230769},
                                           RateCase{"460800", {0x40, 3, 0x4006, 0}, 461538},
                                           RateCase{"921600", {0x40, 3, 0x8003, 0}, 923077},
                                           RateCase{"three eighths", {0x40, 3, 0x0003, 1}, 888889},
                                           RateCase{"five eighths", {0x40, 3, 0x4003, 1}, 827586},
                                           RateCase{"2000000", {0x40, 3, 0x0001, 0}, 2000000},
                                           RateCase{"3000000", {0x40, 3, 0x0000, 0}, 3000000},
                                           RateCase{"below two", {0x40, 3, 0x4001, 0}, 0}));

class Ft2232hRate : public ::testing::TestWithParam<RateCase> {};

TEST_P(Ft2232hRate, IsDecodedForThePortThatTheIndexNames) {
  FtdiModel model(Loopback(), Loopback());
  model.Plug(kNow);

  ASSERT_TRUE(Send(model, GetParam().setup));

  EXPECT_EQ(model.serial_port(1).state().baud_rate, GetParam().rate);
  EXPECT_EQ(model.serial_port(0).state().baud_rate, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Ft2232hRate,
    ::testing::Values(RateCase{"115200 of 12 MHz", {0x40, 3, 0xC068, 0x0202}, 115246},
                      RateCase{"115200 of 3 MHz", {0x40, 3, 0x001A, 0x0002}, 115385},
                      RateCase{"12000000", {0x40, 3, 0x0000, 0x0202}, 12000000},
                      RateCase{"8000000", {0x40, 3, 0x0001, 0x0202}, 8000000},
                      RateCase{"3 MHz, seven eighths", {0x40, 3, 0xC003, 0x0102}, 774194}));

class Ch340Rate : public ::testing::TestWithParam<RateCase> {};

TEST_P(Ch340Rate, IsDecodedFromPrescalerAndDivisor) {
  Ch340Model model(Loopback());
  model.Plug(kNow);

  ASSERT_TRUE(Send(model, GetParam().setup));

  EXPECT_EQ(model.serial_port(0).state().baud_rate, GetParam().rate);
}

INSTANTIATE_TEST_SUITE_P(Table, Ch340Rate,
                         ::testing::Values(RateCase{"9600", {0x40, 0x9A, 0x1312, 0xB282}, 9615},
                                           RateCase{"115200", {0x40, 0x9A, 0x1312, 0xCC83}, 115385},
                                           RateCase{"460800", {0x40, 0x9A, 0x1312, 0xF383}, 461538},
                                           RateCase{"921600", {0x40, 0x9A, 0x1312, 0xF387}, 923077},
                                           RateCase{
                                               "2000000", {0x40, 0x9A, 0x1312, 0xFD83}, 2000000},
                                           RateCase{"50", {0x40, 0x9A, 0x1312, 0x1680}, 50}));

struct Cp210xRateCase {
  Cp210xModel::Part part;
  uint32_t asked;
  uint32_t made;
};
class Cp210xRate : public ::testing::TestWithParam<Cp210xRateCase> {};

TEST_P(Cp210xRate, IsTheNearestThePartMakes) {
  Cp210xModel model(GetParam().part, Loopback());
  model.Plug(kNow);
  const uint32_t asked = GetParam().asked;
  const Bytes data = {static_cast<uint8_t>(asked), static_cast<uint8_t>(asked >> 8),
                      static_cast<uint8_t>(asked >> 16), static_cast<uint8_t>(asked >> 24)};

  ASSERT_TRUE(Send(model, {0x41, 0x1E, 0, 0}, data));

  EXPECT_EQ(model.serial_port(0).state().baud_rate, GetParam().made);
}

constexpr auto kCp2102 = Cp210xModel::Part::kCp2102;
constexpr auto kCp2102N = Cp210xModel::Part::kCp2102N;
INSTANTIATE_TEST_SUITE_P(Table, Cp210xRate,
                         ::testing::Values(Cp210xRateCase{kCp2102, 115200, 115200},
                                           Cp210xRateCase{kCp2102, 460800, 460800},
                                           Cp210xRateCase{kCp2102, 921600, 921600},
                                           Cp210xRateCase{kCp2102, 1500000, 921600},
                                           Cp210xRateCase{kCp2102, 110, 300},
                                           Cp210xRateCase{kCp2102N, 115200, 115385},
                                           Cp210xRateCase{kCp2102N, 921600, 923077},
                                           Cp210xRateCase{kCp2102N, 1500000, 1500000},
                                           Cp210xRateCase{kCp2102N, 4000000, 3000000},
                                           Cp210xRateCase{kCp2102N, 300, 300}));

// What each family's requests make of the two lines: (dtr, rts) after it, and how many changed.
struct LineCase {
  std::string name;
  std::vector<UsbSetup> setups;
  std::vector<LineRequest> requests;
};
void PrintTo(const LineCase& test, std::ostream* out) { *out << test.name; }

std::unique_ptr<UsbDeviceModel> ModelOf(const std::string& family) {
  if (family == "cp210x") return std::make_unique<Cp210xModel>(kCp2102, Loopback());
  if (family == "ch340") return std::make_unique<Ch340Model>(Loopback());
  if (family == "ftdi") return std::make_unique<FtdiModel>(Loopback());
  return std::make_unique<CdcAcmModel>(Loopback());
}

class ModemLines : public ::testing::TestWithParam<LineCase> {};

TEST_P(ModemLines, AreSetByOneRequestOrByTwo) {
  const auto model = ModelOf(GetParam().name.substr(0, GetParam().name.find(' ')));
  model->Plug(kNow);

  for (const UsbSetup& setup : GetParam().setups) ASSERT_TRUE(Send(*model, setup));

  const SerialState& state = model->serial_port(0).state();
  ASSERT_EQ(state.last_line_requests.size(), GetParam().requests.size());
  for (size_t i = 0; i < GetParam().requests.size(); ++i) {
    const LineRequest& expected = GetParam().requests[i];
    EXPECT_THAT(state.last_line_requests[i],
                ::testing::AllOf(Field(&LineRequest::dtr, expected.dtr),
                                 Field(&LineRequest::rts, expected.rts),
                                 Field(&LineRequest::changed, expected.changed)))
        << "request " << i;
  }
  EXPECT_EQ(state.line_requests, GetParam().requests.size());
  EXPECT_EQ(state.dtr, GetParam().requests.back().dtr);
  EXPECT_EQ(state.rts, GetParam().requests.back().rts);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ModemLines,
    ::testing::Values(
        LineCase{"cp210x both at once",
                 {{0x41, 7, 0x0303, 0}, {0x41, 7, 0x0300, 0}},
                 {{true, true, 2}, {false, false, 2}}},
        LineCase{"cp210x one by one",
                 {{0x41, 7, 0x0101, 0}, {0x41, 7, 0x0202, 0}, {0x41, 7, 0x0100, 0}},
                 {{true, false, 1}, {true, true, 1}, {false, true, 1}}},
        LineCase{"cp210x without its mask a bit says nothing",
                 {{0x41, 7, 0x0203, 0}},
                 {{false, true, 1}}},
        LineCase{"ch340 inverted",
                 {{0x40, 0xA4, 0xFF9F, 0}, {0x40, 0xA4, 0xFFDF, 0}, {0x40, 0xA4, 0xFFFF, 0}},
                 {{true, true, 2}, {true, false, 1}, {false, false, 1}}},
        LineCase{"ftdi both at once", {{0x40, 1, 0x0303, 0}}, {{true, true, 2}}},
        LineCase{"ftdi one by one",
                 {{0x40, 1, 0x0202, 0}, {0x40, 1, 0x0101, 0}},
                 {{false, true, 1}, {true, true, 1}}},
        LineCase{"acm always both",
                 {{0x21, 0x22, 3, 0}, {0x21, 0x22, 1, 0}, {0x21, 0x22, 1, 0}},
                 {{true, true, 2}, {true, false, 1}, {true, false, 0}}}));

// Requests a chip does not know.
struct StallCase {
  std::string name;
  UsbSetup setup;
  Bytes data;
};
void PrintTo(const StallCase& test, std::ostream* out) { *out << test.name; }

class UnknownRequest : public ::testing::TestWithParam<StallCase> {};

TEST_P(UnknownRequest, IsStalled) {
  const auto model = ModelOf(GetParam().name.substr(0, GetParam().name.find(' ')));
  model->Plug(kNow);
  if (GetParam().setup.to_host()) {
    EXPECT_EQ(Read(*model, GetParam().setup), std::nullopt);
  } else {
    EXPECT_FALSE(Send(*model, GetParam().setup, GetParam().data));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, UnknownRequest,
    ::testing::Values(StallCase{"cp210x rate of three bytes", {0x41, 0x1E, 0, 0}, {0, 0xC2, 1}},
                      StallCase{"cp210x to the device", {0x40, 0x07, 0x0303, 0}, {}},
                      StallCase{"cp210x second interface", {0x41, 0x07, 0x0303, 1}, {}},
                      StallCase{"cp210x nine data bits", {0x41, 0x03, 0x0900, 0}, {}},
                      StallCase{"cp210x unknown", {0x41, 0x77, 0, 0}, {}},
                      StallCase{"cp210x unknown read", {0xC1, 0x77, 0, 0, 4}, {}},
                      StallCase{"ch340 unknown", {0x40, 0x77, 0, 0}, {}},
                      StallCase{"ch340 to the interface", {0x41, 0x9A, 0x1312, 0xCC83}, {}},
                      StallCase{"ftdi third port", {0x40, 1, 0x0303, 3}, {}},
                      StallCase{"ftdi five data bits", {0x40, 4, 5, 0}, {}},
                      StallCase{"ftdi latency of 0", {0x40, 9, 0, 0}, {}},
                      StallCase{"ftdi bit bang", {0x40, 0x0B, 0x01FF, 0}, {}},
                      StallCase{"acm six bytes", {0x21, 0x20, 0, 0}, {0, 0xC2, 1, 0, 0, 0}},
                      StallCase{"acm wrong interface", {0x21, 0x22, 3, 1}, {}},
                      StallCase{"acm vendor request", {0x41, 0x22, 3, 0}, {}}));

TEST(Cp210xModelTest, HearsAndSaysNothingUntilEnabled) {
  Cp210xModel model(kCp2102, Loopback());
  model.Plug(kNow);
  model.SetListening(kNow, 0x81, true);
  ASSERT_TRUE(model.TakePacket(kNow, 0x01, Bytes{1, 2, 3}));
  EXPECT_EQ(model.GivePacket(kNow, 0x81), std::nullopt);

  ASSERT_TRUE(Send(model, {0x41, 0x00, 1, 0}));
  ASSERT_TRUE(model.TakePacket(kNow, 0x01, Bytes{4, 5}));

  EXPECT_EQ(model.GivePacket(kNow, 0x81), (Bytes{4, 5}));
}

TEST(Cp210xModelTest, TellsWhichPartItIs) {
  Cp210xModel old_part(kCp2102, Loopback());
  Cp210xModel new_part(kCp2102N, Loopback());
  const UsbSetup part_number = {0xC0, 0xFF, 0x370B, 0, 1};
  EXPECT_EQ(Read(old_part, part_number), (Bytes{0x02}));
  EXPECT_EQ(Read(new_part, part_number), (Bytes{0x20}));
  EXPECT_EQ(Read(old_part, {0xC0, 0xFF, 0x0010, 0, 3}), std::nullopt);
  EXPECT_EQ(Read(new_part, {0xC0, 0xFF, 0x0010, 0, 3}), (Bytes{1, 0, 8}));
  EXPECT_EQ(Read(new_part, {0xC0, 0xFF, 0x000E, 0, 0x2A6})->size(), 0x2A6u);
}

TEST(Cp210xModelTest, SendsNothingWhileItWaitsForAClearToSendThatNoBoardGives) {
  Cp210xModel model(Cp210xModel::Part::kCp2102N, Loopback());
  model.Plug(kNow);
  ASSERT_TRUE(Send(model, {0x41, 0x00, 1, 0}));
  Bytes flow(16);
  flow[0] = 0x09;  // DTR held active, CTS awaited
  ASSERT_TRUE(Send(model, {0x41, 0x13, 0, 0}, flow));

  ASSERT_TRUE(model.TakePacket(kNow, 0x01, Bytes{1, 2, 3}));
  EXPECT_EQ(model.GivePacket(kNow, 0x81), std::nullopt);
  const std::optional<Bytes> held = Read(model, {0xC1, 0x10, 0, 0, 19});
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->at(4), 1) << "why it waits";
  EXPECT_NE(held->at(12), 0) << "what waits";
  for (int packet = 0; model.TakePacket(kNow, 0x01, Bytes(64)); ++packet) {
    ASSERT_LT(packet, 100) << "the buffer has no end";
  }

  ASSERT_TRUE(Send(model, {0x41, 0x12, 0x0005, 0}));  // empties the buffer
  ASSERT_TRUE(model.TakePacket(kNow, 0x01, Bytes{4, 5}));
  flow[0] = 0x01;
  ASSERT_TRUE(Send(model, {0x41, 0x13, 0, 0}, flow));
  EXPECT_EQ(model.GivePacket(kNow, 0x81), Bytes({4, 5}));
}

TEST(Cp210xModelTest, FlowControlSettingsHoldTheLines) {
  Cp210xModel model(kCp2102, Loopback());
  model.Plug(kNow);
  Bytes flow(16);
  flow[0] = 1;     // DTR held active
  flow[4] = 0x40;  // RTS held active

  ASSERT_TRUE(Send(model, {0x41, 0x13, 0, 0}, flow));

  EXPECT_TRUE(model.serial_port(0).state().dtr);
  EXPECT_TRUE(model.serial_port(0).state().rts);
  EXPECT_EQ(Read(model, {0xC1, 0x14, 0, 0, 16}), flow);
}

TEST(Ch340ModelTest, KeepsAPacketUntilItIsFullUnlessToldToSendAtOnce) {
  Ch340Model model(Loopback());
  model.Plug(kNow);
  model.SetListening(kNow, 0x82, true);
  ASSERT_TRUE(Send(model, {0x40, 0x9A, 0x1312, 0xCC03}));
  ASSERT_TRUE(model.TakePacket(kNow, 0x02, Bytes{1, 2, 3}));
  EXPECT_EQ(model.GivePacket(kNow, 0x82), std::nullopt);

  ASSERT_TRUE(Send(model, {0x40, 0x9A, 0x1312, 0xCC83}));

  EXPECT_EQ(model.GivePacket(kNow, 0x82), (Bytes{1, 2, 3}));
}

TEST(Ch340ModelTest, DecodesLineControl) {
  Ch340Model model(Loopback());
  model.Plug(kNow);
  ASSERT_TRUE(Send(model, {0x40, 0x9A, 0x2518, 0x00DE}));  // receive, transmit, 7E2
  const SerialState& state = model.serial_port(0).state();
  EXPECT_EQ(state.data_bits, 7);
  EXPECT_EQ(state.parity, 'E');
  EXPECT_EQ(state.stop_half_bits, 4);
  EXPECT_EQ(Read(model, {0xC0, 0x95, 0x2518, 0, 8}), (Bytes{0xDE, 0}));
  EXPECT_EQ(Read(model, {0xC0, 0x5F, 0, 0, 8}), (Bytes{0x31, 0}));
}

TEST(FtdiModelTest, PutsTwoBytesOfStatusBeforeEachPacket) {
  FtdiModel model(Loopback());
  model.Plug(kNow);
  model.SetListening(kNow, 0x81, true);
  Bytes sent(100);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<uint8_t>(i);
  ASSERT_TRUE(model.TakePacket(kNow, 0x02, sent));

  const std::optional<Bytes> full = model.GivePacket(kNow, 0x81);
  ASSERT_TRUE(full.has_value());
  ASSERT_EQ(full->size(), 64u);
  EXPECT_EQ((*full)[0], 0x31);
  EXPECT_EQ((*full)[1], 0x60);
  EXPECT_EQ(Bytes(full->begin() + 2, full->end()), Bytes(sent.begin(), sent.begin() + 62));

  // The rest waits for the latency timer, which the first packet has started anew.
  EXPECT_EQ(model.GivePacket(kNow + absl::Milliseconds(15), 0x81), std::nullopt);
  EXPECT_EQ(model.NextEvent(), kNow + absl::Milliseconds(16));
  const std::optional<Bytes> rest = model.GivePacket(kNow + absl::Milliseconds(16), 0x81);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(Bytes(rest->begin() + 2, rest->end()), Bytes(sent.begin() + 62, sent.end()));
}

TEST(FtdiModelTest, ReportsItsStatusEachTimeTheLatencyTimerRuns) {
  FtdiModel model(Loopback());
  model.Plug(kNow);
  model.SetListening(kNow, 0x81, true);
  ASSERT_TRUE(Send(model, {0x40, 9, 2, 0}));
  EXPECT_EQ(Read(model, {0xC0, 10, 0, 0, 1}), (Bytes{2}));
  EXPECT_EQ(model.GivePacket(kNow + absl::Milliseconds(1), 0x81), std::nullopt);

  EXPECT_EQ(model.GivePacket(kNow + absl::Milliseconds(2), 0x81), (Bytes{0x31, 0x60}));
  EXPECT_EQ(model.GivePacket(kNow + absl::Milliseconds(3), 0x81), std::nullopt);
}

TEST(FtdiModelTest, WaitsForNothingWhenNobodyListens) {
  FtdiModel model(Loopback());
  model.Plug(kNow);
  model.SetListening(kNow, 0x81, true);
  EXPECT_EQ(model.GivePacket(kNow, 0x81), std::nullopt);
  model.SetListening(kNow, 0x81, false);
  EXPECT_EQ(model.NextEvent(), std::nullopt);
}

TEST(Ft2232hModelTest, KeepsItsTwoPortsApart) {
  FtdiModel model(Loopback(), Loopback());
  model.Plug(kNow);
  model.SetListening(kNow, 0x81, true);
  model.SetListening(kNow, 0x83, true);
  EXPECT_EQ(model.MaxPacket(0x83), 512);
  ASSERT_TRUE(Send(model, {0x40, 1, 0x0101, 1}));
  ASSERT_TRUE(Send(model, {0x40, 1, 0x0202, 2}));

  ASSERT_TRUE(model.TakePacket(kNow, 0x04, Bytes(510, 0xBB)));

  EXPECT_THAT(model.GivePacket(kNow, 0x81), std::nullopt);
  EXPECT_EQ(model.GivePacket(kNow, 0x83)->size(), 512u);
  EXPECT_TRUE(model.serial_port(0).state().dtr);
  EXPECT_FALSE(model.serial_port(0).state().rts);
  EXPECT_FALSE(model.serial_port(1).state().dtr);
  EXPECT_TRUE(model.serial_port(1).state().rts);
}

TEST(CdcAcmModelTest, KeepsTheLineCoding) {
  CdcAcmModel model(Loopback());
  model.Plug(kNow);
  const Bytes coding = {0x00, 0x08, 0x07, 0x00, 0, 2, 7};  // 460800 7E1

  ASSERT_TRUE(Send(model, {0x21, 0x20, 0, 0}, coding));

  EXPECT_EQ(Read(model, {0xA1, 0x21, 0, 0, 7}), coding);
  const SerialState& state = model.serial_port(0).state();
  EXPECT_EQ(state.baud_rate, 460800u);
  EXPECT_EQ(state.data_bits, 7);
  EXPECT_EQ(state.parity, 'E');
}

TEST(CdcAcmModelTest, EndsASeriesOfFullPacketsWithAnEmptyOne) {
  CdcAcmModel model(Loopback());
  model.Plug(kNow);
  model.SetListening(kNow, 0x82, true);
  ASSERT_TRUE(model.TakePacket(kNow, 0x02, Bytes(64, 0x55)));

  EXPECT_EQ(model.GivePacket(kNow, 0x82)->size(), 64u);
  EXPECT_THAT(model.GivePacket(kNow, 0x82), ::testing::Optional(IsEmpty()));
  EXPECT_EQ(model.GivePacket(kNow, 0x82), std::nullopt);
}

TEST(SerialPortTest, KeepsWhatFitsWhileNobodyListens) {
  CdcAcmModel model(Loopback());
  model.Plug(kNow);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(model.TakePacket(kNow, 0x02, Bytes(64, 0x55)));
  model.Advance(kNow);

  EXPECT_EQ(model.serial_port(0).state().lost_bytes, 20 * 64 - 512u);
  EXPECT_EQ(model.serial_port(0).Waiting(kNow), 512u);
}

TEST(UsbDeviceModelTest, AnswersStandardRequests) {
  Cp210xModel model(kCp2102, Loopback());
  model.Plug(kNow);
  EXPECT_EQ(Read(model, {0x80, 6, 0x0100, 0, 18})->size(), 18u);
  EXPECT_EQ(Read(model, {0x80, 6, 0x0100, 0, 8})->size(), 8u);
  EXPECT_EQ(Read(model, {0x80, 6, 0x0200, 0, 255}), model.configuration_descriptor());
  EXPECT_EQ(Read(model, {0x80, 6, 0x0300, 0, 255}), (Bytes{4, 3, 9, 4}));
  EXPECT_EQ(Read(model, {0x80, 6, 0x0303, 0x0409, 255}),
            (Bytes{10, 3, '0', 0, '0', 0, '0', 0, '1', 0}));
  EXPECT_EQ(Read(model, {0x80, 6, 0x0304, 0x0409, 255}), std::nullopt);
  EXPECT_EQ(Read(model, {0x80, 8, 0, 0, 1}), (Bytes{0}));
  EXPECT_TRUE(Send(model, {0x00, 9, 1, 0}));
  EXPECT_EQ(Read(model, {0x80, 8, 0, 0, 1}), (Bytes{1}));
  EXPECT_FALSE(Send(model, {0x00, 9, 2, 0}));
  EXPECT_EQ(Read(model, {0x80, 0, 0, 0, 2}), (Bytes{0, 0}));
  EXPECT_EQ(Read(model, {0x80, 12, 0, 0, 2}), std::nullopt);
  EXPECT_EQ(model.MaxPacket(0x81), 64);
  EXPECT_EQ(model.MaxPacket(0x85), 0);
}

TEST(UsbDeviceModelTest, ForgetsTheHostsSettingsOnABusReset) {
  FtdiModel model(Loopback());
  model.Plug(kNow);
  ASSERT_TRUE(Send(model, {0x00, 9, 1, 0}));
  ASSERT_TRUE(Send(model, {0x40, 1, 0x0303, 0}));
  ASSERT_TRUE(Send(model, {0x40, 9, 1, 0}));

  model.ResetBus(kNow);

  EXPECT_EQ(model.configuration(), 0);
  EXPECT_FALSE(model.serial_port(0).state().dtr);
  EXPECT_EQ(model.serial_port(0).state().latency_ms, 16);
  EXPECT_THAT(model.serial_port(0).state().last_line_requests, IsEmpty());
}

}  // namespace
}  // namespace kiln::simulator
