#include "daemon/esp/flasher_bench.h"

namespace kiln::esp {
namespace {

class EveryChipTest : public ::testing::TestWithParam<std::tuple<Chip, bool>> {};

TEST_P(EveryChipTest, IsConnectedIdentifiedFlashedVerifiedAndBooted) {
  const auto [chip, stub] = GetParam();
  BoardConfig config = Board(chip);
  config.mac = {0x7C, 0xDF, 0xA1, 0x12, 0x34, 0x56};
  Bench bench(config, stub);
  const FlashPlan plan = SmallPlan();

  const absl::StatusOr<BoardFacts> facts = bench.ConnectAndIdentify();
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->chip, chip);
  EXPECT_EQ(facts->mac, config.mac);
  EXPECT_EQ(facts->flash_size_bytes, 4u << 20);
  EXPECT_EQ(facts->stub_running, stub);
  EXPECT_NE(facts->flash_jedec_id, 0u);

  const absl::StatusOr<FlashResult> result = bench.Flash(plan);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->image_bytes, 20'001u + 3072 + 24'576 + 140'003);
  EXPECT_EQ(result->baud_rate, 921600u);
  EXPECT_EQ(result->stub, stub);
  EXPECT_LT(result->sent_bytes, result->image_bytes);
  EXPECT_EQ(bench.last_progress.done_bytes, result->image_bytes);
  EXPECT_EQ(bench.last_progress.total_bytes, result->image_bytes);
  EXPECT_EQ(bench.WrongRegion(plan), "");
  EXPECT_EQ(bench.board().statistics().overrun_bytes, 0u);

  const absl::Status verified = bench.flasher().Verify(plan, nullptr);
  EXPECT_TRUE(verified.ok()) << verified;

  const absl::Status booted = bench.flasher().Boot();
  ASSERT_TRUE(booted.ok()) << booted;
  EXPECT_THAT(bench.ReadText(absl::Seconds(1)), HasSubstr("boot:0x"));
  bench.board().WithBoard([](SimulatedBoard& board) {
    EXPECT_FALSE(board.in_download_mode());
    EXPECT_FALSE(board.stub_running());
  });
}

INSTANTIATE_TEST_SUITE_P(
    Chips, EveryChipTest,
    ::testing::Combine(::testing::ValuesIn(std::vector<Chip>(AllChips().begin(), AllChips().end())),
                       ::testing::Bool()),
    [](const ::testing::TestParamInfo<std::tuple<Chip, bool>>& info) {
      return absl::StrCat(std::string(TraitsOf(std::get<0>(info.param)).stub_name),
                          std::get<1>(info.param) ? "Stub" : "Rom");
    });

class LoaderTest : public ::testing::TestWithParam<bool> {
 protected:
  bool stub() const { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Loaders, LoaderTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Stub" : "Rom"; });

TEST_P(LoaderTest, ASecondFlashOfTheSamePlanWritesNothing) {
  Bench bench(Board(Chip::kEsp32S3), stub());
  const FlashPlan plan = SmallPlan();
  ASSERT_TRUE(bench.Run(plan).ok());
  const uint64_t programmed = bench.board().statistics().programmed_bytes;
  bench.Reopen();

  const absl::StatusOr<FlashResult> again = bench.Run(plan);

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->written_bytes, 0u);
  EXPECT_EQ(again->sent_bytes, 0u);
  EXPECT_EQ(bench.board().statistics().programmed_bytes, programmed);
  EXPECT_EQ(bench.last_progress.done_bytes, again->image_bytes);
}

TEST_P(LoaderTest, WritesOnlyTheSegmentsThatChanged) {
  Bench bench(Board(Chip::kEsp32C6), stub());
  Bytes app = CodeLike(800'000, 5);
  ASSERT_TRUE(bench.Run({{"app", 0x10000, PrepareImage(app)}}).ok());
  app[0x25000] ^= 1;
  app[0x31000] ^= 1;
  app[0x90001] ^= 1;
  const FlashPlan changed = {{"app", 0x10000, PrepareImage(app)}};

  const absl::StatusOr<FlashResult> result = bench.Flash(changed);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->written_bytes, 3u * 65536);
  EXPECT_EQ(bench.WrongRegion(changed), "");
}

TEST_P(LoaderTest, BlankTailsAreNotSentButEndUpBlank) {
  Bench bench(Board(Chip::kEsp32C3), stub());
  bench.FillFlash(0x00);
  const FlashPlan plan = {
      {"app", 0x10000, PrepareImage(WithBlankTail(CodeLike(100'000, 6), 400'000))},
      {"otadata", 0xE000, PrepareImage(Bytes(8192, 0xFF))}};
  const FlashPlan ordered = {plan[1], plan[0]};

  const absl::StatusOr<FlashResult> result = bench.Run(ordered);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(bench.WrongRegion(ordered), "");
  EXPECT_LT(result->sent_bytes, 101'000u);
  if (stub()) {
    EXPECT_LE(bench.board().statistics().programmed_bytes, 102'400u);
  }
}

TEST_P(LoaderTest, ComesRightWhateverTheChipHeldBefore) {
  // Every kind of beginning, middle and tail a large region can meet.
  constexpr size_t kSegment = 65536;
  const Bytes image = WithBlankTail(CodeLike(4 * kSegment, 20), 2 * kSegment);
  const FlashPlan plan = {{"app", 0x10000, PrepareImage(image)}};
  const struct {
    std::string name;
    std::vector<std::pair<size_t, Bytes>> changes;  // to the image, at its offset
    uint64_t written;
  } cases[] = {
      {"the image itself", {}, 0},
      {"blank beginning, the rest is right", {{0, Bytes(kSegment, 0xFF)}}, 4 * kSegment},
      {"dirty beginning", {{100, {0x00}}}, kSegment},
      {"dirty end of the content", {{4 * kSegment - 1, {0x00}}}, kSegment},
      {"blank middle", {{2 * kSegment, Bytes(kSegment, 0xFF)}}, kSegment},
      {"dirty tail", {{5 * kSegment, {0x00}}}, 2 * kSegment},
      {"blank beginning and dirty tail",
       {{0, Bytes(4 * kSegment, 0xFF)}, {5 * kSegment, {0x00}}},
       6 * kSegment},
      {"all dirty", {{0, Bytes(6 * kSegment, 0x00)}}, 6 * kSegment},
      {"all blank", {{0, Bytes(6 * kSegment, 0xFF)}}, 4 * kSegment},
      {"two places", {{1, {0x00}}, {2 * kSegment, {0x00}}}, 2 * kSegment},
  };
  for (const auto& c : cases) {
    Bench bench(Board(Chip::kEsp32C3), stub());
    bench.board().WithBoard([&](SimulatedBoard& board) {
      Bytes flash(board.flash_memory().size(), 0xFF);
      std::copy(image.begin(), image.end(), flash.begin() + 0x10000);
      for (const auto& [at, bytes] : c.changes) {
        std::copy(bytes.begin(), bytes.end(), flash.begin() + 0x10000 + at);
      }
      board.flash_memory().Load(flash);
    });

    const absl::StatusOr<FlashResult> result = bench.Run(plan);

    ASSERT_TRUE(result.ok()) << c.name << ": " << result.status();
    EXPECT_EQ(bench.WrongRegion(plan), "") << c.name;
    EXPECT_EQ(result->written_bytes, c.written) << c.name;
  }
}

TEST_P(LoaderTest, BlankRegionsOfABlankChipCostNoWrite) {
  Bench bench(Board(Chip::kEsp32H2), stub());
  const FlashPlan plan = {{"otadata", 0xE000, PrepareImage(Bytes(8192, 0xFF))}};

  const absl::StatusOr<FlashResult> result = bench.Run(plan);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->written_bytes, 0u);
  EXPECT_EQ(bench.board().statistics().erased_bytes, 0u);
  EXPECT_EQ(bench.last_progress.done_bytes, 8192u);
}

TEST_P(LoaderTest, OverwritesAChipFullOfOldFirmware) {
  Bench bench(Board(Chip::kEsp32), stub());
  bench.FillFlash(0x5A);
  const FlashPlan plan = SmallPlan();

  const absl::StatusOr<FlashResult> result = bench.Run(plan);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->written_bytes, result->image_bytes);
  EXPECT_EQ(bench.WrongRegion(plan), "");
}

TEST(FlasherTest, FlashTimeStaysWithinSixPerCentOfTheWire) {
  BoardConfig config = Board(Chip::kEsp32S3);
  config.model_times = true;
  Bench bench(config);
  const FlashPlan plan = {{"app", 0x10000, PrepareImage(CodeLike(1 << 20, 10))}};
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  const absl::Duration before = bench.clock().Monotonic();

  const absl::StatusOr<FlashResult> result = bench.Flash(plan);

  ASSERT_TRUE(result.ok()) << result.status();
  const double seconds = absl::ToDoubleSeconds(bench.clock().Monotonic() - before);
  const double wire = static_cast<double>(result->sent_bytes) * 10 / 921600;
  RecordProperty("ratio", std::to_string(seconds / wire));
  EXPECT_LE(seconds, 1.06 * wire) << result->sent_bytes << " bytes sent";
  EXPECT_EQ(bench.WrongRegion(plan), "");
}

}  // namespace
}  // namespace kiln::esp
