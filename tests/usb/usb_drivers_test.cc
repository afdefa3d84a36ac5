// The station's USB drivers against the simulator's adapters, without an operating system between.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/flasher.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/ports/usb/usb_serial_stream.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/serial_port.h"
#include "simulator/usb/usb_device_model.h"
#include "tests/usb/model_usb_device.h"

namespace kiln {
namespace {

using errors::ErrorCode;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(30);

struct Adapter {
  std::string kind;
  uint8_t serial_port = 0;
  uint32_t fastest = 0;
  esp::Chip chip = esp::Chip::kEsp32;
};

void PrintTo(const Adapter& adapter, std::ostream* out) { *out << adapter.kind; }

class UsbDriversTest : public ::testing::TestWithParam<Adapter> {
 protected:
  UsbDriversTest() : device_(GetParam().kind, Config()) {
    auto stream = device_.Open(GetParam().serial_port);
    EXPECT_TRUE(stream.ok()) << stream.status();
    if (stream.ok()) stream_ = *std::move(stream);
    // What the board said at power-up, before anybody listened.
    lost_before_ = State().lost_bytes;
  }

  static simulator::BoardConfig Config() {
    simulator::BoardConfig config;
    config.chip = GetParam().chip;
    config.start_in_download_mode = GetParam().kind == "usb-otg";
    return config;
  }

  simulator::SerialState State() { return device_.State(GetParam().serial_port); }

  ModelUsbDevice device_;
  std::unique_ptr<ports::UsbSerialStream> stream_;
  uint64_t lost_before_ = 0;
};

std::string Name(const ::testing::TestParamInfo<Adapter>& info) {
  std::string name;
  for (const char c : absl::StrCat(info.param.kind, "_", info.param.serial_port)) {
    name += absl::ascii_isalnum(c) ? c : '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    Bridges, UsbDriversTest,
    ::testing::Values(Adapter{"cp2102", 0, 921'600}, Adapter{"cp2102n", 0, 3'000'000},
                      Adapter{"ch340", 0, 2'000'000}, Adapter{"ch9102", 0, 3'000'000},
                      Adapter{"ft232r", 0, 3'000'000}, Adapter{"ft2232h", 0, 3'000'000},
                      Adapter{"ft2232h", 1, 3'000'000},
                      Adapter{"usb-serial-jtag", 0, 0, esp::Chip::kEsp32S3},
                      Adapter{"usb-otg", 0, 0, esp::Chip::kEsp32S2}),
    Name);

TEST_P(UsbDriversTest, SetUpThePortWhenTheyOpenIt) {
  const simulator::SerialState state = State();
  EXPECT_TRUE(state.enabled);
  EXPECT_EQ(state.data_bits, 8);
  EXPECT_EQ(state.parity, 'N');
  EXPECT_EQ(state.stop_half_bits, 2);
  EXPECT_TRUE(state.dtr);
  EXPECT_TRUE(state.rts);
  EXPECT_EQ(state.line_requests, 1U);
  if (GetParam().fastest > 0) {
    EXPECT_NEAR(state.baud_rate, 115'200, 115'200 * 0.005);
  }
  if (absl::StartsWith(GetParam().kind, "ft")) {
    EXPECT_EQ(state.latency_ms, 1);
  }
}

TEST_P(UsbDriversTest, MakeEveryRateTheyAcceptWithin2Point5Percent) {
  if (GetParam().fastest == 0) GTEST_SKIP() << "no UART";
  for (const uint32_t baud : {9'600, 57'600, 115'200, 230'400, 460'800, 500'000, 921'600, 1'000'000,
                              1'500'000, 2'000'000, 3'000'000}) {
    const absl::Status set = stream_->SetBaudRate(baud);
    if (!set.ok()) {
      EXPECT_TRUE(errors::Is(set, ErrorCode::kBaudRateUnsupported)) << baud << ": " << set;
      EXPECT_GT(baud, GetParam().fastest);
      continue;
    }
    EXPECT_NEAR(State().baud_rate, baud, baud * 0.025) << baud;
  }
}

TEST_P(UsbDriversTest, ChangeBothLinesInOneRequest) {
  for (const bool dtr : {false, true, false, true}) {
    const uint64_t before = State().line_requests;
    ASSERT_TRUE(stream_->SetLines(dtr, !dtr).ok());
    const simulator::SerialState state = State();
    EXPECT_EQ(state.line_requests, before + 1);
    EXPECT_EQ(state.last_line_requests.back().dtr, dtr);
    EXPECT_EQ(state.last_line_requests.back().rts, !dtr);
  }
}

TEST_P(UsbDriversTest, TellAnUnplugAtOnceAndForGood) {
  // The moment is only printed: a loaded machine proves nothing about 50 ms.
  const absl::Duration before = base::SystemClock().Monotonic();
  device_.Unplug();
  std::vector<uint8_t> buffer(4096);
  absl::Status status;
  while (status.ok()) status = stream_->Read(absl::MakeSpan(buffer), kLong).status();
  const absl::Duration after = base::SystemClock().Monotonic() - before;
  EXPECT_TRUE(errors::Is(status, ErrorCode::kBoardUnplugged)) << status;
  EXPECT_TRUE(errors::Is(stream_->SetLines(false, false), ErrorCode::kBoardUnplugged));
  RecordProperty("unplug_microseconds", static_cast<int>(absl::ToInt64Microseconds(after)));
}

// About as compressible as machine code.
std::vector<uint8_t> CodeLike(size_t size) {
  std::vector<uint8_t> bytes(size);
  uint32_t state = 1;
  for (uint8_t& byte : bytes) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = (state >> 28) % 3 != 0 ? static_cast<uint8_t>(state >> 26) : 0x13;
  }
  return bytes;
}

TEST_P(UsbDriversTest, CarryAWholeDeployment) {
  const esp::FlashPlan plan = {{"bootloader", 0x1000, esp::PrepareImage(CodeLike(20'001))},
                               {"app", 0x10000, esp::PrepareImage(CodeLike(140'003))}};
  const base::Cancellation cancellation;
  const auto flasher =
      esp::Flasher::Create(*stream_, base::SystemClock(), cancellation, esp::FlasherOptions());

  const absl::Status connected = flasher->Connect();
  ASSERT_TRUE(connected.ok()) << connected;
  const auto facts = flasher->Identify();
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->chip, GetParam().chip);
  const auto flashed = flasher->Flash(plan, nullptr);
  ASSERT_TRUE(flashed.ok()) << flashed.status();
  const absl::Status verified = flasher->Verify(plan, nullptr);
  EXPECT_TRUE(verified.ok()) << verified;
  device_.WithModel([&plan](simulator::UsbDeviceModel& model) {
    simulator::SimulatedBoard* board = model.serial_port(GetParam().serial_port).peer().board();
    ASSERT_NE(board, nullptr);
    const auto contents = board->flash_memory().contents();
    for (const esp::FlashRegion& region : plan) {
      const auto image = region.image->padded();
      EXPECT_EQ(contents.subspan(region.offset, image.size()), image) << region.label;
    }
  });
  EXPECT_EQ(State().lost_bytes, lost_before_);
}

}  // namespace
}  // namespace kiln
