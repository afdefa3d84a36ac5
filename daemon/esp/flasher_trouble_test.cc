// The flasher where bytes get lost, with boards that lie, vanish or are not what they should be.
#include "daemon/esp/flasher_bench.h"

namespace kiln::esp {
namespace {

class LoaderTroubleTest : public ::testing::TestWithParam<bool> {
 protected:
  bool stub() const { return GetParam(); }

  // The faults begin once the board is identified.
  void FlashesAllTheSame(Chip chip, const Faults& faults, const std::string& what) const {
    Bench bench(Board(chip), stub());
    ASSERT_TRUE(bench.ConnectAndIdentify().ok()) << what;
    bench.board().SetFaults(faults);

    const absl::StatusOr<FlashResult> result = bench.Flash(SmallPlan());

    ASSERT_TRUE(result.ok()) << what << ": " << result.status();
    EXPECT_EQ(bench.WrongRegion(SmallPlan()), "") << what;
  }
};
INSTANTIATE_TEST_SUITE_P(Loaders, LoaderTroubleTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Stub" : "Rom"; });

TEST_P(LoaderTroubleTest, SurvivesBytesLostOnTheWay) {
  for (const uint64_t at : {9u, 700u, 20'000u, 60'000u, 61'001u}) {
    Faults faults;
    faults.to_board.lose_at = {at};
    FlashesAllTheSame(Chip::kEsp32S2, faults, absl::StrCat("byte ", at));
  }
}

TEST_P(LoaderTroubleTest, SurvivesBytesFlippedOnTheWay) {
  for (const uint64_t at : {9u, 700u, 20'000u, 60'000u, 61'001u}) {
    Faults faults;
    faults.to_board.flip_at = {at};
    FlashesAllTheSame(Chip::kEsp32C5, faults, absl::StrCat("byte ", at));
  }
}

TEST_P(LoaderTroubleTest, SurvivesAnAnswerLostOnTheWayBack) {
  for (const uint64_t at : {3u, 60u, 100u, 160u, 200u}) {
    Faults faults;
    faults.to_host.lose_at = {at};
    FlashesAllTheSame(Chip::kEsp32C3, faults, absl::StrCat("byte ", at));
  }
}

TEST_P(LoaderTroubleTest, GoesOnAfterAResetInTheMiddle) {
  Bench bench(Board(Chip::kEsp32S3), stub());
  const FlashPlan plan = SmallPlan();
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  Faults faults;
  faults.reset_after_flash_bytes = 100'000;
  bench.board().SetFaults(faults);

  const absl::StatusOr<FlashResult> result = bench.Flash(plan);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->stub, stub());
  EXPECT_EQ(bench.WrongRegion(plan), "");
}

TEST_P(LoaderTroubleTest, GivesUpOnALineThatLosesTooMuch) {
  Bench bench(Board(Chip::kEsp32C3), stub());
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  Faults faults;
  faults.to_board.lose_every = 2000;
  bench.board().SetFaults(faults);
  const absl::Duration before = bench.clock().Monotonic();

  const absl::StatusOr<FlashResult> result = bench.Flash(SmallPlan());

  ASSERT_FALSE(result.ok());
  EXPECT_EQ(errors::CodeOf(result.status()), ErrorCode::kFlashWriteFailed) << result.status();
  EXPECT_LT(bench.clock().Monotonic() - before, absl::Minutes(5));
}

TEST_P(LoaderTroubleTest, WaitsForFlashThatErasesSlowly) {
  BoardConfig config = Board(Chip::kEsp32C3);
  config.model_times = true;
  Bench bench(config, stub());
  bench.FillFlash(0x00);
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  Faults faults;
  faults.erase_extra = absl::Milliseconds(120);
  bench.board().SetFaults(faults);

  const absl::StatusOr<FlashResult> result = bench.Flash(SmallPlan());

  ASSERT_TRUE(result.ok()) << result.status();
  uint64_t once = 0;
  for (const FlashRegion& region : SmallPlan()) {
    const uint32_t end = stub() ? region.image->content_end() : region.image->padded().size();
    once += region.image->Compressed(0, end)->bytes().size();
  }
  EXPECT_EQ(result->sent_bytes, once) << "a timeout made it start over";
  EXPECT_EQ(bench.WrongRegion(SmallPlan()), "");
}

TEST_P(LoaderTroubleTest, OneWrongMd5IsTriedAgainTwoAreAVerifyError) {
  Bench bench(Board(Chip::kEsp32C61), stub());
  const FlashPlan plan = {{"app", 0x10000, PrepareImage(CodeLike(30'000, 7))}};
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  Faults faults;
  faults.wrong_md5_answers = 2;  // the comparison before the write and the one after it
  bench.board().SetFaults(faults);
  const absl::StatusOr<FlashResult> again = bench.Flash(plan);
  EXPECT_TRUE(again.ok()) << again.status();

  faults.wrong_md5_answers = -1;
  bench.board().SetFaults(faults);
  const absl::StatusOr<FlashResult> never = bench.Flash(plan);
  EXPECT_EQ(errors::CodeOf(never.status()), ErrorCode::kFlashVerifyFailed) << never.status();
  const absl::Status verified = bench.flasher().Verify(plan, nullptr);
  EXPECT_EQ(errors::CodeOf(verified), ErrorCode::kFlashVerifyFailed) << verified;
  EXPECT_THAT(std::string(verified.message()), HasSubstr("app at 0x10000"));
}

TEST_P(LoaderTroubleTest, VerifyFindsTheFirstRegionThatDiffers) {
  Bench bench(Board(Chip::kEsp32C3), stub());
  FlashPlan plan = SmallPlan();
  ASSERT_TRUE(bench.Run(plan).ok());
  plan[2].image = PrepareImage(CodeLike(4096, 99));

  const absl::Status verified = bench.flasher().Verify(plan, nullptr);

  EXPECT_EQ(errors::CodeOf(verified), ErrorCode::kFlashVerifyFailed) << verified;
  EXPECT_THAT(std::string(verified.message()), HasSubstr("nvs at 0x9000"));
}

TEST_P(LoaderTroubleTest, AnUnplugAtAnyPointIsSaidAndTheNextConversationFinishes) {
  const FlashPlan plan = SmallPlan();
  std::mt19937 random(99);
  for (int round = 0; round < 8; ++round) {
    Bench bench(Board(Chip::kEsp32C6), stub());
    Faults faults;
    const uint64_t at = 1 + random() % 100'000;
    faults.unplug_after_received_bytes = at;
    bench.board().SetFaults(faults);

    const absl::StatusOr<FlashResult> torn = bench.Run(plan);
    ASSERT_EQ(errors::CodeOf(torn.status()), ErrorCode::kBoardUnplugged) << at << torn.status();
    bench.board().Replug();
    bench.Reopen();
    const absl::StatusOr<FlashResult> result = bench.Run(plan);

    ASSERT_TRUE(result.ok()) << "byte " << at << ": " << result.status();
    EXPECT_EQ(bench.WrongRegion(plan), "") << "byte " << at;
  }
}

TEST_P(LoaderTroubleTest, ContinuesWhereAnInterruptedFlashStopped) {
  Bench bench(Board(Chip::kEsp32S3), stub());
  const FlashPlan plan = {{"app", 0x10000, PrepareImage(CodeLike(600'000, 8))}};
  Faults faults;
  faults.unplug_after_flash_bytes = 400'000;
  bench.board().SetFaults(faults);
  EXPECT_FALSE(bench.Run(plan).ok());
  bench.board().Replug();
  bench.Reopen();

  const absl::StatusOr<FlashResult> result = bench.Run(plan);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->written_bytes, 300'000u);
  EXPECT_EQ(bench.WrongRegion(plan), "");
}

TEST_P(LoaderTroubleTest, CancelStopsBetweenBlocksWithTheLoaderAnswering) {
  Bench bench(Board(Chip::kEsp32C3), stub());
  const FlashPlan plan = {{"app", 0x10000, PrepareImage(CodeLike(600'000, 9))}};
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  bench.on_progress = [&](const FlashProgress& progress) {
    if (progress.done_bytes > 300'000) bench.cancellation().Cancel("operator");
  };

  const absl::StatusOr<FlashResult> result = bench.Flash(plan);

  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled) << result.status();
  EXPECT_LT(bench.last_progress.done_bytes, 500'000u);
  EXPECT_EQ(bench.flasher().Verify(plan, nullptr).code(), absl::StatusCode::kCancelled);
  // A new conversation takes the loader over without a reset.
  const uint64_t resets = bench.board().statistics().resets;
  base::Cancellation fresh;
  const std::unique_ptr<Flasher> next =
      Flasher::Create(bench.stream(), bench.clock(), fresh, bench.options());
  ASSERT_TRUE(next->Connect().ok());
  const absl::StatusOr<BoardFacts> facts = next->Identify();
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(bench.board().statistics().resets, resets);
  EXPECT_TRUE(next->Flash(plan, nullptr).ok());
  EXPECT_EQ(bench.WrongRegion(plan), "");
}

TEST_P(LoaderTroubleTest, RefusesSecuredChipsAndWritesNothing) {
  for (const Chip chip : AllChips()) {
    for (const char* what : {"boot", "encryption", "download"}) {
      BoardConfig config = Board(chip);
      const std::string fault = what;
      if (fault == "boot") config.faults.secure_boot = true;
      if (fault == "encryption") config.faults.flash_encryption = true;
      if (fault == "download") config.faults.secure_download = true;
      // The ESP32 has no such mode.
      if (chip == Chip::kEsp32 && fault == "download") continue;
      Bench bench(config, stub());

      const absl::StatusOr<FlashResult> result = bench.Run(SmallPlan());

      EXPECT_EQ(errors::CodeOf(result.status()), ErrorCode::kChipSecured)
          << TraitsOf(chip).name << " " << what << ": " << result.status();
      EXPECT_EQ(bench.board().statistics().programmed_bytes, 0u) << TraitsOf(chip).name;
      EXPECT_EQ(bench.board().statistics().erased_bytes, 0u) << TraitsOf(chip).name;
    }
  }
}

TEST_P(LoaderTroubleTest, RefusesPlansThatDoNotFit) {
  Bench bench(Board(Chip::kEsp32C3), stub());
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  const auto image = PrepareImage(CodeLike(10'000, 1));

  EXPECT_EQ(errors::CodeOf(bench.Flash({{"app", (4u << 20) - 8192, image}}).status()),
            ErrorCode::kFlashTooSmall);
  for (const FlashPlan& bad :
       std::vector<FlashPlan>{{{"app", 0x1001, image}},
                              {{"app", 0x10000, image}, {"nvs", 0x12000, image}},
                              {{"app", 0x10000, image}, {"nvs", 0x9000, image}},
                              {{"app", 0x10000, nullptr}}}) {
    EXPECT_EQ(bench.Flash(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(bench.board().statistics().programmed_bytes, 0u);
}

TEST(FlasherTroubleTest, AStubThatNeverAnswersLeavesTheRomToDoTheWork) {
  BoardConfig config = Board(Chip::kEsp32);
  config.faults.stub_silent = true;
  Bench bench(config);
  const FlashPlan plan = SmallPlan();

  const absl::StatusOr<FlashResult> result = bench.Run(plan);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->stub);
  EXPECT_EQ(result->baud_rate, 921600u);
  EXPECT_EQ(bench.WrongRegion(plan), "");
}

TEST(FlasherTroubleTest, TakesOverARunningStubWithoutAReset) {
  Bench bench(Board(Chip::kEsp32C3));
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  const uint64_t resets = bench.board().statistics().resets;
  bench.Reopen();

  const absl::StatusOr<BoardFacts> facts = bench.ConnectAndIdentify();

  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_TRUE(facts->stub_running);
  EXPECT_EQ(bench.board().statistics().resets, resets);
}

TEST(FlasherTroubleTest, SaysThatNobodyAnswers) {
  BoardConfig config = Board(Chip::kEsp32C3);
  config.faults.dead_loader = true;
  Bench bench(config);
  const absl::Duration before = bench.clock().Monotonic();

  const absl::Status status = bench.flasher().Connect();

  EXPECT_EQ(errors::CodeOf(status), ErrorCode::kBoardSilent) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("RX"));
  EXPECT_LT(bench.clock().Monotonic() - before, absl::Seconds(15));
}

TEST_P(LoaderTroubleTest, SurvivesTroubleWhileIdentifying) {
  for (uint64_t at = 5; at < 14'000; at += at < 1000 ? 149 : 2999) {
    for (const bool to_board : {true, false}) {
      Bench bench(Board(Chip::kEsp32C6), stub());
      ASSERT_TRUE(bench.flasher().Connect().ok());
      Faults faults;
      (to_board ? faults.to_board : faults.to_host).lose_at = {at};
      bench.board().SetFaults(faults);

      const absl::StatusOr<BoardFacts> facts = bench.flasher().Identify();

      ASSERT_TRUE(facts.ok()) << at << (to_board ? " to board: " : " to host: ") << facts.status();
      EXPECT_EQ(facts->chip, Chip::kEsp32C6);
      EXPECT_EQ(facts->mac, BoardConfig{}.mac) << at;
    }
  }
}

TEST(FlasherTroubleTest, NoticesAnotherBoardAfterAReset) {
  BoardConfig config = Board(Chip::kEsp32C3);
  Bench bench(config);
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  bench.board().Unplug();
  config.mac[5] = 0x77;
  bench.board().ReplaceBoard(config);

  // The stream belongs to the board that was there before.
  EXPECT_EQ(errors::CodeOf(bench.Flash(SmallPlan()).status()), ErrorCode::kBoardUnplugged);
}

TEST(FlasherTroubleTest, CallsInTheWrongOrderAreRefused) {
  Bench bench(Board(Chip::kEsp32C3));

  EXPECT_EQ(bench.flasher().Identify().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(bench.Flash(SmallPlan()).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(bench.flasher().Verify(SmallPlan(), nullptr).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(FlasherTroubleTest, ACancelledDeploymentDoesNotEvenConnect) {
  Bench bench(Board(Chip::kEsp32C3));
  bench.cancellation().Cancel("operator");

  EXPECT_EQ(bench.flasher().Connect().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(bench.board().statistics().received_bytes, 0u);
}

}  // namespace
}  // namespace kiln::esp
