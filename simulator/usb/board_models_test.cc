// Models with boards behind them: the reset lines and commands reach the chip, bytes go both ways,
// and chips with USB of their own come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/esp/chip.h"
#include "simulator/demo_image.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/native_usb_models.h"
#include "simulator/usb/usb_device_model.h"
#include "simulator/usb/usb_models.h"
#include "simulator/usb/usb_transfer_queue.h"

namespace kiln::simulator {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kStart = absl::Seconds(10);

class BoardModelTest : public ::testing::Test {
 protected:
  void Make(const std::string& kind, esp::Chip chip) {
    auto model = MakeUsbModel(kind, {.chip = chip});
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    model_->Plug(now_);
  }
  void Send(const UsbSetup& setup) {
    ASSERT_TRUE(model_->Control(now_, setup, {}).has_value());
    now_ += absl::Milliseconds(100);
    model_->Advance(now_);
  }
  SimulatedBoard& board() { return *model_->serial_port(0).peer().board(); }
  // All the bytes the host gets at `endpoint`.
  std::string ReadAll(uint8_t endpoint) {
    UsbTransferQueue queue(*model_);
    queue.Submit(now_, {.id = 1, .endpoint = endpoint, .length = 64 * 1024});
    queue.CancelAll(now_, -1);
    const std::vector<uint8_t> data = queue.TakeCompleted()->data;
    return {data.begin(), data.end()};
  }

  absl::Duration now_ = kStart;
  std::unique_ptr<UsbDeviceModel> model_;
};

struct BridgeCase {
  std::string kind;
  uint8_t in;
  std::vector<UsbSetup> open;
  // RTS alone, DTR alone, none: the circuit's way into the loader.
  std::vector<UsbSetup> lines;
};
void PrintTo(const BridgeCase& test, std::ostream* out) { *out << test.kind; }

class BridgeTest : public BoardModelTest, public ::testing::WithParamInterface<BridgeCase> {};

TEST_P(BridgeTest, LinesPutTheBoardInDownloadMode) {
  Make(GetParam().kind, esp::Chip::kEsp32);
  for (const UsbSetup& setup : GetParam().open) Send(setup);
  model_->SetListening(now_, GetParam().in, true);

  for (const UsbSetup& setup : GetParam().lines) Send(setup);

  EXPECT_TRUE(board().in_download_mode());
  EXPECT_THAT(ReadAll(GetParam().in), HasSubstr("waiting for download"));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, BridgeTest,
    ::testing::Values(
        BridgeCase{"cp2102",
                   0x81,
                   {{0x41, 0, 1, 0}},
                   {{0x41, 7, 0x0302, 0}, {0x41, 7, 0x0301, 0}, {0x41, 7, 0x0300, 0}}},
        BridgeCase{"cp2102n",
                   0x81,
                   {{0x41, 0, 1, 0}},
                   {{0x41, 7, 0x0302, 0}, {0x41, 7, 0x0301, 0}, {0x41, 7, 0x0300, 0}}},
        BridgeCase{"ch340",
                   0x82,
                   {{0x40, 0x9A, 0x1312, 0xCC83}},
                   {{0x40, 0xA4, 0xBF, 0}, {0x40, 0xA4, 0xDF, 0}, {0x40, 0xA4, 0xFF, 0}}},
        BridgeCase{
            "ch9102", 0x82, {}, {{0x21, 0x22, 2, 0}, {0x21, 0x22, 1, 0}, {0x21, 0x22, 0, 0}}}));

TEST_F(BoardModelTest, UsbSerialJtagTakesLineStatesAsCommandsAndStaysOnTheBus) {
  Make("usb-serial-jtag", esp::Chip::kEsp32C3);
  ASSERT_FALSE(board().in_download_mode());

  for (uint16_t state : {0, 1, 3, 2, 0}) Send({0x21, 0x22, state, 0});
  EXPECT_TRUE(board().in_download_mode());
  // Back by RTS alone, since the way led through none.
  for (uint16_t state : {2, 0}) Send({0x21, 0x22, state, 0});

  EXPECT_FALSE(board().in_download_mode());
  EXPECT_TRUE(model_->on_bus());
  EXPECT_EQ(model_->times_left(), 0u);
  EXPECT_EQ(model_->String(3), "7C:DF:A1:00:00:01");
}

TEST_F(BoardModelTest, UsbSerialJtagIgnoresTheSequenceOfTheCircuit) {
  Make("usb-serial-jtag", esp::Chip::kEsp32C3);
  for (uint16_t state : {0, 2, 1, 0}) Send({0x21, 0x22, state, 0});
  EXPECT_FALSE(board().in_download_mode());
}

TEST_F(BoardModelTest, UsbSerialJtagHasNoRateToGarble) {
  Make("usb-serial-jtag", esp::Chip::kEsp32C3);
  ASSERT_TRUE(model_
                  ->Control(now_, {0x21, 0x20, 0, 0, 7},
                            std::vector<uint8_t>{0x80, 0x25, 0, 0, 0, 0, 8})  // 9600
                  .has_value());
  model_->SetListening(now_, 0x81, true);
  for (uint16_t state : {0, 1, 3, 2, 0}) Send({0x21, 0x22, state, 0});
  EXPECT_THAT(ReadAll(0x81), HasSubstr("waiting for download"));
}

class OtgTest : public BoardModelTest {
 protected:
  void MakeRunning(esp::Chip chip) {
    Make("usb-otg", chip);
    board().flash_memory().Load(MergeDemoImage(MakeDemoImage(chip, 64 * 1024, 1)));
    model_->Unplug();
    model_->Plug(now_);
  }
  // Until the model has nothing more to do within a second.
  void Settle() {
    const absl::Duration end = now_ + absl::Seconds(1);
    for (auto next = model_->NextEvent(); next.has_value() && *next <= end;
         next = model_->NextEvent()) {
      now_ = *next;
      model_->Advance(now_);
    }
  }
};

TEST_F(OtgTest, BlankChipIsNotOnTheBus) {
  Make("usb-otg", esp::Chip::kEsp32S2);
  EXPECT_FALSE(model_->on_bus());
}

TEST_F(OtgTest, BlankChipWithBootHeldShowsItsLoader) {
  auto model = std::make_unique<UsbOtgModel>(
      BoardConfig{.chip = esp::Chip::kEsp32S3, .start_in_download_mode = true});
  model->Plug(now_);
  EXPECT_TRUE(model->on_bus());
  EXPECT_EQ(model->vendor(), 0x303A);
  EXPECT_EQ(model->product(), 0x0009);
}

TEST_F(OtgTest, LeavesForTheLoaderAndReturnsAsAnotherDevice) {
  MakeRunning(esp::Chip::kEsp32S2);
  ASSERT_TRUE(model_->on_bus());
  EXPECT_EQ(model_->product(), UsbOtgModel::kProgramProduct);

  // RTS is released while DTR is asserted.
  ASSERT_TRUE(model_->Control(now_, {0x21, 0x22, 2, 0}, {}).has_value());
  ASSERT_TRUE(model_->Control(now_, {0x21, 0x22, 1, 0}, {}).has_value());
  EXPECT_TRUE(model_->on_bus());
  now_ += absl::Milliseconds(50);
  model_->Advance(now_);
  EXPECT_FALSE(model_->on_bus());
  EXPECT_EQ(model_->times_left(), 1u);
  Settle();

  EXPECT_TRUE(model_->on_bus());
  EXPECT_EQ(model_->product(), 0x0002);
  EXPECT_EQ(model_->times_left(), 1u);
  EXPECT_TRUE(board().in_download_mode());
}

TEST_F(OtgTest, LoaderIgnoresTheLines) {
  Make("usb-otg", esp::Chip::kEsp32S2);
  auto model = std::make_unique<UsbOtgModel>(
      BoardConfig{.chip = esp::Chip::kEsp32S2, .start_in_download_mode = true});
  model->Plug(now_);
  ASSERT_TRUE(model->Control(now_, {0x21, 0x22, 2, 0}, {}).has_value());
  ASSERT_TRUE(model->Control(now_, {0x21, 0x22, 0, 0}, {}).has_value());
  model->Advance(now_ + absl::Seconds(1));
  EXPECT_TRUE(model->on_bus());
  EXPECT_EQ(model->times_left(), 0u);
}

TEST_F(OtgTest, PressedResetTakesItFromTheBusForAMoment) {
  MakeRunning(esp::Chip::kEsp32S3);
  board().PressReset(now_);
  model_->Advance(now_);
  EXPECT_FALSE(model_->on_bus());
  Settle();
  EXPECT_TRUE(model_->on_bus());
  EXPECT_EQ(model_->product(), UsbOtgModel::kProgramProduct);
  EXPECT_EQ(model_->times_left(), 1u);
}

TEST_F(OtgTest, ProgramSaysItsReportAgainToAHostThatOpensItsPortLate) {
  MakeRunning(esp::Chip::kEsp32S3);
  now_ += absl::Seconds(10);
  model_->Advance(now_);
  model_->SetListening(now_, 0x81, true);
  EXPECT_EQ(ReadAll(0x81), "") << "without DTR nobody is there to talk to";
  model_->SetListening(now_, 0x81, true);
  Send({0x21, 0x22, 3, 0});

  now_ += absl::Milliseconds(1500);
  model_->Advance(now_);

  const std::string said = ReadAll(0x81);
  EXPECT_THAT(said, HasSubstr("{\"kiln\":1"));
  EXPECT_THAT(said, ::testing::Not(HasSubstr("rst:0x"))) << "the ROM speaks at the UART";
}

TEST_F(OtgTest, HeldBootButtonBringsTheLoaderBack) {
  MakeRunning(esp::Chip::kEsp32S3);
  board().SetFaults({.boot_held = true});
  board().PressReset(now_);
  Settle();
  EXPECT_EQ(model_->product(), 0x0009);
  EXPECT_TRUE(board().in_download_mode());
}

class TransferQueueTest : public ::testing::Test {
 protected:
  TransferQueueTest() : model_(*MakeUsbModel("ch9102", {.start_in_download_mode = true})) {
    model_->Plug(kStart);
  }
  std::unique_ptr<UsbDeviceModel> model_;
  UsbTransferQueue queue_{*model_};
};

TEST_F(TransferQueueTest, StallsAndUnknownEndpointsEndTransfers) {
  queue_.Submit(kStart, {.id = 1, .setup = {0x40, 0x77, 0, 0, 0}});
  queue_.Submit(kStart, {.id = 2, .endpoint = 0x0F, .data = {1}});

  EXPECT_EQ(queue_.TakeCompleted()->status, -EPIPE);
  EXPECT_EQ(queue_.TakeCompleted()->status, -ENOENT);
}

TEST_F(TransferQueueTest, PacketLargerThanTheRoomIsAnOverflow) {
  queue_.Submit(kStart, {.id = 1, .endpoint = 0x82, .length = 10});

  const auto completion = queue_.TakeCompleted();
  ASSERT_TRUE(completion.has_value());
  EXPECT_EQ(completion->status, -EOVERFLOW);
  EXPECT_EQ(completion->data.size(), 10u);
}

TEST_F(TransferQueueTest, ReadsEndInTheOrderOfTheirSubmission) {
  queue_.Submit(kStart, {.id = 1, .endpoint = 0x82, .length = 64});
  queue_.Submit(kStart, {.id = 2, .endpoint = 0x82, .length = 4096});
  queue_.Submit(kStart, {.id = 3, .endpoint = 0x82, .length = 4096});

  EXPECT_EQ(queue_.TakeCompleted()->id, 1u);
  const auto second = queue_.TakeCompleted();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->id, 2u);
  EXPECT_GT(second->actual, 0u);
  EXPECT_FALSE(queue_.HasCompleted());
  EXPECT_TRUE(queue_.Cancel(kStart, 3, -ENOENT));
  EXPECT_FALSE(queue_.Cancel(kStart, 3, -ENOENT));
  EXPECT_EQ(queue_.TakeCompleted()->status, -ENOENT);
}

TEST(WireTimeTest, AdapterMakesTheHostWaitWhenItsBufferIsFull) {
  auto model = MakeUsbModel("ch9102", {.model_times = true});
  ASSERT_TRUE(model.ok());
  (*model)->Plug(kStart);
  ASSERT_TRUE((*model)
                  ->Control(kStart, {0x21, 0x20, 0, 0, 7},
                            std::vector<uint8_t>{0, 0xC2, 1, 0, 0, 0, 8})  // 115200
                  .has_value());
  UsbTransferQueue queue(**model);

  queue.Submit(kStart, {.id = 1, .endpoint = 0x02, .data = std::vector<uint8_t>(1152, 0x55)});

  EXPECT_FALSE(queue.HasCompleted());
  absl::Duration now = kStart;
  while (!queue.HasCompleted()) {
    ASSERT_TRUE(queue.NextEvent().has_value());
    ASSERT_GT(*queue.NextEvent(), now);
    now = *queue.NextEvent();
    queue.Advance(now);
  }
  // 1152 bytes last 100 ms; the last of them may still wait in the adapter.
  EXPECT_GT(now - kStart, absl::Milliseconds(85));
  EXPECT_LT(now - kStart, absl::Milliseconds(101));
}

}  // namespace
}  // namespace kiln::simulator
