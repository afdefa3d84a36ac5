// The RTC watchdog, as a host uses it to make a chip start over: write its registers through the
// loader, and the chip resets by itself, with its straps read again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "simulator/chip_model.h"
#include "simulator/demo_image.h"
#include "simulator/loader.h"
#include "simulator/simulated_board.h"
#include "simulator/slip.h"

namespace kiln::simulator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kResetsChip = 1u << 31 | 4u << 28;

class WatchdogTest : public ::testing::TestWithParam<esp::Chip> {
 protected:
  WatchdogTest() {
    BoardConfig config;
    config.chip = GetParam();
    config.start_in_download_mode = true;
    board_.emplace(config, now_);
    board_->flash_memory().Load(MergeDemoImage(MakeDemoImage(GetParam(), 64 * 1024, 1)));
    Listen(absl::Milliseconds(10));
  }

  std::string Listen(absl::Duration duration) {
    now_ += duration;
    board_->Advance(now_);
    std::string text;
    uint8_t buffer[1024];
    while (const size_t size = board_->TakeOutput(now_, absl::MakeSpan(buffer))) {
      text.append(reinterpret_cast<const char*>(buffer), size);
    }
    return text;
  }
  void WriteRegister(uint32_t address, uint32_t value, uint32_t mask = 0xFFFFFFFF) {
    Bytes frame = {0x00, kWriteReg};
    base::AppendLe(frame, uint16_t{16});
    base::AppendLe(frame, uint32_t{0});
    for (const uint32_t word : {address, value, mask, uint32_t{0}}) base::AppendLe(frame, word);
    board_->Receive(now_, SlipEncode(frame));
    Listen(absl::Milliseconds(1));
  }
  // The whole way: 100 ms until the chip resets.
  void Arm() {
    WriteRegister(model_.write_protect, kRtcWatchdogKey);
    WriteRegister(model_.stage_0_hold, model_.slow_clock_hz / 10);
    WriteRegister(model_.config, kResetsChip);
  }
  uint64_t resets() const { return board_->statistics().resets; }

  const RtcWatchdogModel model_ = *RtcWatchdogOf(GetParam());
  absl::Duration now_;
  std::optional<SimulatedBoard> board_;
};

TEST_P(WatchdogTest, ResetsTheChipAfterItsTimeAndTheProgramStarts) {
  ASSERT_TRUE(board_->in_download_mode());
  const uint64_t before = resets();
  Arm();
  Listen(absl::Milliseconds(90));
  EXPECT_TRUE(board_->in_download_mode()) << "not before its time";
  ASSERT_TRUE(board_->NextEvent().has_value()) << "whoever waits for the board knows when";
  const std::string text = Listen(absl::Seconds(1));
  EXPECT_EQ(resets(), before + 1) << "once";
  EXPECT_FALSE(board_->in_download_mode());
  EXPECT_THAT(text, HasSubstr("rst:0x10 (RTCWDT_RTC_RST),boot:0xc (SPI_FAST_FLASH_BOOT)"));
  EXPECT_THAT(text, HasSubstr("{\"kiln\":1"));
}

TEST_P(WatchdogTest, ReadsTheStrapsAgain) {
  board_->SetLines(now_, true, false);
  Arm();
  EXPECT_THAT(Listen(absl::Seconds(1)), HasSubstr("waiting for download"));
  EXPECT_TRUE(board_->in_download_mode());
}

TEST_P(WatchdogTest, IgnoresWritesWithoutItsKey) {
  const uint64_t before = resets();
  WriteRegister(model_.write_protect, kRtcWatchdogKey + 1);
  WriteRegister(model_.stage_0_hold, 10);
  WriteRegister(model_.config, kResetsChip);
  Listen(absl::Seconds(1));
  EXPECT_EQ(resets(), before);
}

TEST_P(WatchdogTest, IsStoppedByItsRegister) {
  const uint64_t before = resets();
  Arm();
  WriteRegister(model_.config, 0);
  Listen(absl::Seconds(1));
  EXPECT_EQ(resets(), before);
}

TEST_P(WatchdogTest, ALockedSettingStillRuns) {
  const uint64_t before = resets();
  Arm();
  WriteRegister(model_.write_protect, 0);
  WriteRegister(model_.config, 0);
  Listen(absl::Seconds(1));
  EXPECT_EQ(resets(), before + 1);
}

TEST_P(WatchdogTest, OnlyTheActionsThatResetTheChipDo) {
  for (uint32_t action = 0; action <= 5; ++action) {
    const uint64_t before = resets();
    board_->PressReset(now_);
    Listen(absl::Milliseconds(10));
    WriteRegister(model_.write_protect, kRtcWatchdogKey);
    WriteRegister(model_.stage_0_hold, 10);
    WriteRegister(model_.config, 1u << 31 | action << 28);
    Listen(absl::Seconds(1));
    EXPECT_EQ(resets() - before, action >= 4 ? 2u : 1u) << action;
  }
}

TEST_P(WatchdogTest, AResetByTheLinesStopsIt) {
  Arm();
  board_->SetLines(now_, false, true);
  Listen(absl::Milliseconds(10));
  board_->SetLines(now_, false, false);
  const uint64_t after = resets();
  EXPECT_THAT(Listen(absl::Seconds(1)), Not(HasSubstr("RTCWDT")));
  EXPECT_EQ(resets(), after);
}

INSTANTIATE_TEST_SUITE_P(Chips, WatchdogTest,
                         ::testing::Values(esp::Chip::kEsp32S2, esp::Chip::kEsp32S3,
                                           esp::Chip::kEsp32C3, esp::Chip::kEsp32P4),
                         [](const auto& info) {
                           return std::string(esp::TraitsOf(info.param).stub_name);
                         });

}  // namespace
}  // namespace kiln::simulator
