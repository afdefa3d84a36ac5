// The flasher at peculiar adapters and circuits: rates that do not carry, lines that do not reach
// the chip or come too late, ways into the loader, sockets.
#include <algorithm>

#include "daemon/esp/flasher_bench.h"

namespace kiln::esp {
namespace {

class LoaderLinkTest : public ::testing::TestWithParam<bool> {
 protected:
  bool stub() const { return GetParam(); }

  // Flashes an ESP32, asked to do so at the rate `from`, which is too high for `stream`.
  void StepsDown(uint32_t from, uint32_t to, Bench& bench, PeculiarStream& stream) const {
    bench.options().baud_rate = from;
    const std::unique_ptr<Flasher> flasher = bench.FlasherAt(stream);
    ASSERT_TRUE(flasher->Connect().ok());
    const absl::StatusOr<BoardFacts> facts = flasher->Identify();
    ASSERT_TRUE(facts.ok()) << facts.status();

    const absl::StatusOr<FlashResult> result = flasher->Flash(SmallPlan(), nullptr);

    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->baud_rate, to);
    // A stub that never arrives whole leaves the ROM to do the work.
    EXPECT_EQ(result->stub, stub() && stream.highest_rate_under_load >= from);
    EXPECT_EQ(bench.WrongRegion(SmallPlan()), "");
  }
};
INSTANTIATE_TEST_SUITE_P(Loaders, LoaderLinkTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Stub" : "Rom"; });

TEST_P(LoaderLinkTest, StepsDownToARateTheAdapterCarries) {
  Bench bench(Board(Chip::kEsp32), stub());
  PeculiarStream stream(bench.stream());
  stream.highest_rate = 300'000;

  StepsDown(1'500'000, 230400, bench, stream);

  EXPECT_THAT(stream.rates,
              testing::IsSupersetOf({115200u, 1'500'000u, 921600u, 460800u, 230400u}));
}

TEST_P(LoaderLinkTest, StepsDownToARateTheAdapterMakes) {
  Bench bench(Board(Chip::kEsp32), stub());
  PeculiarStream stream(bench.stream());
  stream.highest_accepted = 500'000;

  StepsDown(1'500'000, 460800, bench, stream);
}

TEST_P(LoaderLinkTest, StepsDownWhenARateBreaksDownUnderLoad) {
  Bench bench(Board(Chip::kEsp32), stub());
  PeculiarStream stream(bench.stream());
  stream.highest_rate_under_load = 500'000;

  StepsDown(921600, 460800, bench, stream);
}

TEST(FlasherLinkTest, CorrectsTheRateForWhatTheRomOfTheEsp32Measured) {
  Bench bench(Board(Chip::kEsp32), /*stub=*/false);
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());

  bench.board().WithBoard(
      [](SimulatedBoard& board) { EXPECT_NEAR(board.board_baud_rate(), 921600, 921600 * 0.001); });
}

TEST(FlasherLinkTest, TakesOverALoaderThatSomebodyStartedByHand) {
  BoardConfig config = Board(Chip::kEsp32S2);
  config.start_in_download_mode = true;
  Bench bench(config);
  const uint64_t resets = bench.board().statistics().resets;

  EXPECT_TRUE(bench.ConnectAndIdentify().ok());
  EXPECT_EQ(bench.board().statistics().resets, resets);
}

TEST(FlasherLinkTest, SaysThatTheBoardStartedItsProgramInstead) {
  Bench bench(Board(Chip::kEsp32C3));
  PeculiarStream stream(bench.stream());
  stream.gpio0_connected = false;
  const std::unique_ptr<Flasher> flasher = bench.FlasherAt(stream);

  const absl::Status status = flasher->Connect();

  EXPECT_EQ(errors::CodeOf(status), ErrorCode::kBoardWrongBootMode) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("boot:0x"));
}

TEST_P(LoaderLinkTest, ThePortRemembersWhichRateItCarries) {
  Bench bench(Board(Chip::kEsp32), stub());
  PortProfile profile({.baud_rate = 1'500'000});
  bench.options().profile = &profile;
  for (const bool first : {true, false}) {
    bench.FillFlash(0x55);
    PeculiarStream stream(bench.stream());
    stream.highest_rate = 500'000;
    const std::unique_ptr<Flasher> flasher = bench.FlasherAt(stream);
    ASSERT_TRUE(flasher->Connect().ok());
    ASSERT_TRUE(flasher->Identify().ok());
    const absl::StatusOr<FlashResult> result = flasher->Flash(SmallPlan(), nullptr);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->baud_rate, 460800u);
    const auto tried = std::count(stream.rates.begin(), stream.rates.end(), 1'500'000u);
    EXPECT_EQ(tried > 0, first) << "the second board starts where the first one ended";
  }
}

TEST_P(LoaderLinkTest, TriesFirstWhatReachedTheLoaderLastTime) {
  Bench bench(Board(Chip::kEsp32), stub());
  PortProfile profile;
  bench.options().profile = &profile;
  PeculiarStream stream(bench.stream());
  stream.skewed_lines = true;  // only Classic gets through
  size_t changes[2] = {};
  for (size_t& count : changes) {
    stream.lines.clear();
    bench.board().WithBoard(
        [&](SimulatedBoard& board) { board.PressReset(bench.clock().Monotonic()); });
    const std::unique_ptr<Flasher> flasher = bench.FlasherAt(stream);
    ASSERT_TRUE(flasher->Connect().ok());
    count = stream.lines.size();
  }
  EXPECT_EQ(profile.last_reset(), "Classic 50 ms");
  EXPECT_LT(changes[1], changes[0]);
}

TEST_P(LoaderLinkTest, AConfiguredSequenceReplacesTheUsualOnes) {
  Bench bench(Board(Chip::kEsp32), stub());
  const auto custom = CustomReset::Parse("U0,1|W0.2|U1,0|W0.1|U0,0");
  ASSERT_TRUE(custom.ok());
  PortProfile profile({.loader_reset = *custom});
  bench.options().profile = &profile;
  PeculiarStream stream(bench.stream());
  const std::unique_ptr<Flasher> flasher = bench.FlasherAt(stream);
  ASSERT_TRUE(flasher->Connect().ok());
  EXPECT_THAT(stream.lines, testing::ElementsAre(std::pair(false, true), std::pair(true, false),
                                                 std::pair(false, false)));
  EXPECT_EQ(profile.last_reset(), "custom");
}

TEST_P(LoaderLinkTest, WorksOverASocketWithoutLinesOrRate) {
  BoardConfig config = Board(Chip::kEsp32S3);
  config.start_in_download_mode = true;
  Bench bench(config, stub());
  PeculiarStream stream(bench.stream());
  stream.socket = true;
  const std::unique_ptr<Flasher> flasher = bench.FlasherAt(stream);
  ASSERT_TRUE(flasher->Connect().ok());
  ASSERT_TRUE(flasher->Identify().ok());

  const absl::StatusOr<FlashResult> result = flasher->Flash(SmallPlan(), nullptr);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->baud_rate, 0u);
  EXPECT_EQ(bench.WrongRegion(SmallPlan()), "");
  const absl::Status booted = flasher->Boot();
  ASSERT_TRUE(booted.ok()) << booted;
  EXPECT_THAT(bench.ReadText(absl::Seconds(1)), HasSubstr("boot:0x"));
}

TEST(FlasherLinkTest, StopsTheWatchdogsOfAChipReachedThroughItsOwnUsb) {
  BoardConfig config = Board(Chip::kEsp32C6);
  config.start_in_download_mode = true;
  Bench bench(config);
  PeculiarStream stream(bench.stream());
  stream.usb_serial_jtag = true;
  const std::unique_ptr<Flasher> flasher = bench.FlasherAt(stream);
  ASSERT_TRUE(flasher->Connect().ok());

  const absl::StatusOr<BoardFacts> facts = flasher->Identify();

  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_TRUE(facts->stub_running);
  std::vector<std::pair<uint32_t, uint32_t>> writes;  // to the LP watchdog's registers
  SlipDecoder decoder(32 * 1024);
  absl::Span<const uint8_t> input = stream.written;
  while (const auto frame = decoder.Next(input)) {
    if ((*frame)[1] != static_cast<uint8_t>(LoaderCommand::kWriteReg)) continue;
    const uint32_t address = base::LoadLe32(&(*frame)[8]);
    if (address >> 12 == 0x600B1) writes.emplace_back(address, base::LoadLe32(&(*frame)[12]));
  }
  const std::vector<std::pair<uint32_t, uint32_t>> expected = {
      {0x600B1C18, 0x50D83AA1}, {0x600B1C00, 0},       {0x600B1C18, 0},
      {0x600B1C20, 0x50D83AA1}, {0x600B1C1C, 1 << 18}, {0x600B1C20, 0}};
  EXPECT_EQ(writes, expected);
  EXPECT_THAT(stream.rates, testing::IsEmpty());
}

}  // namespace
}  // namespace kiln::esp
