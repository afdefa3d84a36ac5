// Leaving the loader of a chip that is reached through its own USB-OTG, where no line is a reset.
#include <memory>
#include <string>

#include "daemon/esp/flasher_bench.h"
#include "simulator/demo_image.h"

namespace kiln::esp {
namespace {

class UsbOtgTest : public ::testing::Test {
 protected:
  // A board in its loader, as with BOOT held while it was plugged in, that has been identified.
  void Identify(Chip chip, bool stub = true) {
    BoardConfig config = Board(chip);
    config.start_in_download_mode = true;
    bench_ = std::make_unique<Bench>(config, stub);
    bench_->board().WithBoard([chip](SimulatedBoard& board) {
      board.flash_memory().Load(
          simulator::MergeDemoImage(simulator::MakeDemoImage(chip, 64 * 1024, 1)));
    });
    stream_ = std::make_unique<PeculiarStream>(bench_->stream());
    stream_->usb_otg = true;
    flasher_ =
        Flasher::Create(*stream_, bench_->clock(), bench_->cancellation(), bench_->options());
    const absl::Status connected = flasher_->Connect();
    ASSERT_TRUE(connected.ok()) << connected;
    const absl::StatusOr<BoardFacts> facts = flasher_->Identify();
    ASSERT_TRUE(facts.ok()) << facts.status();
    EXPECT_EQ(facts->stub_running, stub);
    stream_->resets.clear();
  }

  std::unique_ptr<Bench> bench_;
  std::unique_ptr<PeculiarStream> stream_;
  std::unique_ptr<Flasher> flasher_;
};

struct Case {
  Chip chip;
  bool stub;
};

class UsbOtgChipTest : public UsbOtgTest, public ::testing::WithParamInterface<Case> {};

TEST_P(UsbOtgChipTest, TheWatchdogStartsTheProgramAndNoLineIsMoved) {
  Identify(GetParam().chip, GetParam().stub);
  const absl::Status booted = flasher_->Boot();
  ASSERT_TRUE(booted.ok()) << booted;
  const std::string text = bench_->ReadText(absl::Seconds(1));
  EXPECT_THAT(text, HasSubstr("rst:0x10 (RTCWDT_RTC_RST),boot:0xc (SPI_FAST_FLASH_BOOT)"));
  EXPECT_THAT(text, HasSubstr("{\"kiln\":1"));
  EXPECT_THAT(stream_->resets, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Chips, UsbOtgChipTest,
                         ::testing::Values(Case{Chip::kEsp32S2, true}, Case{Chip::kEsp32S2, false},
                                           Case{Chip::kEsp32S3, true}, Case{Chip::kEsp32S3, false},
                                           Case{Chip::kEsp32P4, true}, Case{Chip::kEsp32P4, false}),
                         [](const auto& info) {
                           return std::string(TraitsOf(info.param.chip).stub_name) +
                                  (info.param.stub ? "Stub" : "Rom");
                         });

TEST_F(UsbOtgTest, ALoaderThatDoesNotAnswerIsLeftByTheLines) {
  Identify(Chip::kEsp32S3);
  bench_->board().SetFaults({.to_host = {.lose_every = 1}});
  const absl::Status booted = flasher_->Boot();
  EXPECT_TRUE(booted.ok()) << booted;
  EXPECT_THAT(stream_->resets, testing::Contains(true));
}

TEST_F(UsbOtgTest, AChipThatIsNotKnownYetIsLeftByTheLines) {
  Identify(Chip::kEsp32S3);
  const auto fresh =
      Flasher::Create(*stream_, bench_->clock(), bench_->cancellation(), bench_->options());
  const absl::Status booted = fresh->Boot();
  EXPECT_TRUE(booted.ok()) << booted;
  EXPECT_THAT(stream_->resets, testing::Contains(true));
}

TEST_F(UsbOtgTest, OtherLinksAndChipsKeepTheirReset) {
  Identify(Chip::kEsp32C6);
  EXPECT_TRUE(flasher_->Boot().ok());
  EXPECT_THAT(stream_->resets, testing::Contains(true)) << "not by the watchdog of a C6";
  Identify(Chip::kEsp32S3);
  stream_->usb_otg = false;
  EXPECT_TRUE(flasher_->Boot().ok());
  EXPECT_THAT(stream_->resets, testing::Contains(true)) << "an adapter has a reset line";
}

}  // namespace
}  // namespace kiln::esp
