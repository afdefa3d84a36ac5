#include "daemon/esp/flasher.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/fake_clock.h"
#include "base/fake_file_system.h"
#include "base/little_endian.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/loader_protocol.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/esp/slip.h"
#include "daemon/esp/stub_store.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/memory_stream.h"
#include "simulator/simulated_board.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;
using simulator::BoardConfig;
using simulator::Faults;
using simulator::SimulatedBoard;
using ::testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

// About as compressible as machine code.
Bytes CodeLike(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = random() % 3 ? static_cast<uint8_t>(random() % 64) : 0x13;
  return bytes;
}

Bytes WithBlankTail(Bytes bytes, size_t tail) {
  bytes.resize(bytes.size() + tail, 0xFF);
  return bytes;
}

// Prepared once for all tests, as for all boards of a batch.
const FlashPlan& SmallPlan() {
  static const FlashPlan* const plan =
      new FlashPlan{{"bootloader", 0x1000, PrepareImage(CodeLike(20'001, 1))},
                    {"partitions", 0x8000, PrepareImage(WithBlankTail(CodeLike(200, 2), 2872))},
                    {"nvs", 0x9000, PrepareImage(WithBlankTail(CodeLike(5000, 3), 24576 - 5000))},
                    {"app", 0x10000, PrepareImage(CodeLike(140'003, 4))}};
  return *plan;
}

// A stub of every chip; the simulated boards bring their own code.
StubStore EveryStub() {
  base::FakeFileSystem files;
  EXPECT_TRUE(files.CreateDirectories("/stubs", 0755).ok());
  std::vector<std::string> names = {"esp32p4-rev1"};
  for (const Chip chip : AllChips()) names.emplace_back(TraitsOf(chip).stub_name);
  const std::string text(12'000, 'A');
  for (const std::string& name : names) {
    const std::string json =
        absl::StrCat(R"({"entry": 1077412000, "text_start": 1077411840, "text": ")", text,
                     R"(", "data_start": 1070165352, "data": "AAAA"})");
    EXPECT_TRUE(files
                    .WriteFileAtomically("/stubs/" + name + ".json", json,
                                         base::FileSystem::IfExists::kFail, 0644)
                    .ok());
  }
  return StubStore::Load(files, "/stubs");
}

// A stream with a peculiar adapter or circuit between it and the board.
class PeculiarStream final : public ports::ByteStream {
 public:
  explicit PeculiarStream(ports::ByteStream& stream) : stream_(stream) {}

  bool gpio0_connected = true;
  bool socket = false;                // bytes only
  uint32_t highest_rate = 4'000'000;  // what is above comes out wrong
  std::vector<uint32_t> rates;        // that were asked for
  bool usb_serial_jtag = false;
  Bytes written;

  ports::LinkTraits traits() const override {
    if (socket) return {ports::LinkKind::kSocket, false, false};
    if (usb_serial_jtag) return {ports::LinkKind::kUsbSerialJtag, true, false};
    return stream_.traits();
  }
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override {
    return stream_.Read(buffer, timeout);
  }
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) override {
    written.insert(written.end(), bytes.begin(), bytes.end());
    return stream_.Write(bytes, timeout);
  }
  absl::Status Drain(absl::Duration timeout) override { return stream_.Drain(timeout); }
  absl::Status DiscardInput() override { return stream_.DiscardInput(); }
  absl::Status SetBaudRate(uint32_t baud) override {
    if (socket) return absl::FailedPreconditionError("a socket has no rate");
    rates.push_back(baud);
    return stream_.SetBaudRate(baud > highest_rate ? baud / 10 * 11 : baud);
  }
  absl::Status SetLines(bool dtr, bool rts) override {
    if (socket) return absl::FailedPreconditionError("a socket has no lines");
    return stream_.SetLines(dtr && gpio0_connected, rts && !(dtr && !gpio0_connected));
  }
  void Interrupt() override { stream_.Interrupt(); }

 private:
  ports::ByteStream& stream_;
};

// One simulated board and a flasher at it.
class Bench {
 public:
  explicit Bench(const BoardConfig& config, bool stub = true)
      : stubs_(EveryStub()), opener_(config, clock_) {
    if (stub) options_.stubs = &stubs_;
    Reopen();
  }

  // A new conversation, as after a restart of the daemon.
  void Reopen() {
    flasher_.reset();
    stream_.reset();
    auto stream = opener_.Open();
    ASSERT_TRUE(stream.ok()) << stream.status();
    stream_ = *std::move(stream);
    flasher_ = Flasher::Create(*stream_, clock_, cancellation_, options_);
  }

  absl::StatusOr<BoardFacts> ConnectAndIdentify() {
    const absl::Status connected = flasher_->Connect();
    if (!connected.ok()) return connected;
    return flasher_->Identify();
  }
  absl::StatusOr<FlashResult> Flash(const FlashPlan& plan) {
    last_progress = {};
    return flasher_->Flash(plan, [this](const FlashProgress& progress) {
      if (on_progress) on_progress(progress);
      EXPECT_GE(progress.done_bytes, last_progress.done_bytes);
      EXPECT_LE(progress.done_bytes, progress.total_bytes);
      last_progress = progress;
    });
  }
  absl::StatusOr<FlashResult> Run(const FlashPlan& plan) {
    const absl::StatusOr<BoardFacts> facts = ConnectAndIdentify();
    if (!facts.ok()) return facts.status();
    return Flash(plan);
  }

  // Names the first region whose flash content is not its image; empty when all are right.
  std::string WrongRegion(const FlashPlan& plan) {
    std::string wrong;
    opener_.WithBoard([&](SimulatedBoard& board) {
      const auto contents = board.flash_memory().contents();
      for (const FlashRegion& region : plan) {
        const auto image = region.image->padded();
        if (wrong.empty() && contents.subspan(region.offset, image.size()) != image) {
          wrong = region.label;
        }
      }
    });
    return wrong;
  }
  void FillFlash(uint8_t byte) {
    opener_.WithBoard([&](SimulatedBoard& board) {
      board.flash_memory().Load(Bytes(board.flash_memory().size(), byte));
    });
  }

  std::string ReadText(absl::Duration quiet) {
    std::string text;
    uint8_t buffer[512];
    while (true) {
      const auto size = stream_->Read(absl::MakeSpan(buffer), quiet);
      if (!size.ok() || text.size() > 100'000) return text;
      text.append(reinterpret_cast<const char*>(buffer), *size);
    }
  }

  Flasher& flasher() { return *flasher_; }
  simulator::SimulatedOpener& board() { return opener_; }
  base::FakeClock& clock() { return clock_; }
  base::Cancellation& cancellation() { return cancellation_; }
  FlasherOptions& options() { return options_; }
  ports::ByteStream& stream() { return *stream_; }

  FlashProgress last_progress;
  std::function<void(const FlashProgress&)> on_progress;

 private:
  base::FakeClock clock_;
  base::Cancellation cancellation_;
  const StubStore stubs_;
  FlasherOptions options_;
  simulator::SimulatedOpener opener_;
  std::unique_ptr<ports::ByteStream> stream_;
  std::unique_ptr<Flasher> flasher_;
};

BoardConfig Board(Chip chip) {
  BoardConfig config;
  config.chip = chip;
  return config;
}

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

TEST_P(LoaderTest, SurvivesBytesLostOnTheWay) {
  for (const uint64_t at : {9u, 700u, 20'000u, 60'000u, 61'001u}) {
    Bench bench(Board(Chip::kEsp32S2), stub());
    const FlashPlan plan = SmallPlan();
    ASSERT_TRUE(bench.ConnectAndIdentify().ok());
    Faults faults;
    faults.to_board.lose_at = {at};
    bench.board().SetFaults(faults);

    const absl::StatusOr<FlashResult> result = bench.Flash(plan);

    ASSERT_TRUE(result.ok()) << "byte " << at << ": " << result.status();
    EXPECT_EQ(bench.WrongRegion(plan), "") << "byte " << at;
  }
}

TEST_P(LoaderTest, SurvivesBytesFlippedOnTheWay) {
  for (const uint64_t at : {9u, 700u, 20'000u, 60'000u, 61'001u}) {
    Bench bench(Board(Chip::kEsp32C5), stub());
    const FlashPlan plan = SmallPlan();
    ASSERT_TRUE(bench.ConnectAndIdentify().ok());
    Faults faults;
    faults.to_board.flip_at = {at};
    bench.board().SetFaults(faults);

    const absl::StatusOr<FlashResult> result = bench.Flash(plan);

    ASSERT_TRUE(result.ok()) << "byte " << at << ": " << result.status();
    EXPECT_EQ(bench.WrongRegion(plan), "") << "byte " << at;
  }
}

TEST_P(LoaderTest, SurvivesAnAnswerLostOnTheWayBack) {
  for (const uint64_t at : {3u, 60u, 100u, 160u, 200u}) {
    Bench bench(Board(Chip::kEsp32C3), stub());
    const FlashPlan plan = SmallPlan();
    ASSERT_TRUE(bench.ConnectAndIdentify().ok());
    Faults faults;
    faults.to_host.lose_at = {at};
    bench.board().SetFaults(faults);

    const absl::StatusOr<FlashResult> result = bench.Flash(plan);

    ASSERT_TRUE(result.ok()) << "byte " << at << ": " << result.status();
    EXPECT_EQ(bench.WrongRegion(plan), "") << "byte " << at;
  }
}

TEST_P(LoaderTest, GoesOnAfterAResetInTheMiddle) {
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

TEST_P(LoaderTest, GivesUpOnALineThatLosesTooMuch) {
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

TEST_P(LoaderTest, WaitsForFlashThatErasesSlowly) {
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

TEST_P(LoaderTest, OneWrongMd5IsTriedAgainTwoAreAVerifyError) {
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

TEST_P(LoaderTest, VerifyFindsTheFirstRegionThatDiffers) {
  Bench bench(Board(Chip::kEsp32C3), stub());
  FlashPlan plan = SmallPlan();
  ASSERT_TRUE(bench.Run(plan).ok());
  plan[2].image = PrepareImage(CodeLike(4096, 99));

  const absl::Status verified = bench.flasher().Verify(plan, nullptr);

  EXPECT_EQ(errors::CodeOf(verified), ErrorCode::kFlashVerifyFailed) << verified;
  EXPECT_THAT(std::string(verified.message()), HasSubstr("nvs at 0x9000"));
}

TEST_P(LoaderTest, AnUnplugAtAnyPointIsSaidAndTheNextConversationFinishes) {
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

TEST_P(LoaderTest, ContinuesWhereAnInterruptedFlashStopped) {
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

TEST_P(LoaderTest, CancelStopsBetweenBlocksWithTheLoaderAnswering) {
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

TEST_P(LoaderTest, RefusesSecuredChipsAndWritesNothing) {
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

TEST_P(LoaderTest, RefusesPlansThatDoNotFit) {
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

TEST(FlasherTest, AStubThatNeverAnswersLeavesTheRomToDoTheWork) {
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

TEST(FlasherTest, CorrectsTheRateForWhatTheRomOfTheEsp32Measured) {
  Bench bench(Board(Chip::kEsp32), /*stub=*/false);
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());

  bench.board().WithBoard(
      [](SimulatedBoard& board) { EXPECT_NEAR(board.board_baud_rate(), 921600, 921600 * 0.001); });
}

TEST(FlasherTest, TakesOverARunningStubWithoutAReset) {
  Bench bench(Board(Chip::kEsp32C3));
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  const uint64_t resets = bench.board().statistics().resets;
  bench.Reopen();

  const absl::StatusOr<BoardFacts> facts = bench.ConnectAndIdentify();

  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_TRUE(facts->stub_running);
  EXPECT_EQ(bench.board().statistics().resets, resets);
}

TEST(FlasherTest, TakesOverALoaderThatSomebodyStartedByHand) {
  BoardConfig config = Board(Chip::kEsp32S2);
  config.start_in_download_mode = true;
  Bench bench(config);
  const uint64_t resets = bench.board().statistics().resets;

  EXPECT_TRUE(bench.ConnectAndIdentify().ok());
  EXPECT_EQ(bench.board().statistics().resets, resets);
}

TEST(FlasherTest, SaysThatNobodyAnswers) {
  BoardConfig config = Board(Chip::kEsp32C3);
  config.faults.dead_loader = true;
  Bench bench(config);
  const absl::Duration before = bench.clock().Monotonic();

  const absl::Status status = bench.flasher().Connect();

  EXPECT_EQ(errors::CodeOf(status), ErrorCode::kBoardSilent) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("RX"));
  EXPECT_LT(bench.clock().Monotonic() - before, absl::Seconds(15));
}

TEST(FlasherTest, SaysThatTheBoardStartedItsProgramInstead) {
  Bench bench(Board(Chip::kEsp32C3));
  PeculiarStream stream(bench.stream());
  stream.gpio0_connected = false;
  const std::unique_ptr<Flasher> flasher =
      Flasher::Create(stream, bench.clock(), bench.cancellation(), bench.options());

  const absl::Status status = flasher->Connect();

  EXPECT_EQ(errors::CodeOf(status), ErrorCode::kBoardWrongBootMode) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("boot:0x"));
}

TEST_P(LoaderTest, StepsDownToARateTheAdapterCarries) {
  Bench bench(Board(Chip::kEsp32), stub());
  PeculiarStream stream(bench.stream());
  stream.highest_rate = 300'000;
  bench.options().baud_rate = 1'500'000;
  const std::unique_ptr<Flasher> flasher =
      Flasher::Create(stream, bench.clock(), bench.cancellation(), bench.options());
  ASSERT_TRUE(flasher->Connect().ok());

  const absl::StatusOr<BoardFacts> facts = flasher->Identify();

  ASSERT_TRUE(facts.ok()) << facts.status();
  const absl::StatusOr<FlashResult> result = flasher->Flash(SmallPlan(), nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->baud_rate, 230400u);
  EXPECT_EQ(result->stub, stub());
  EXPECT_THAT(stream.rates,
              testing::IsSupersetOf({115200u, 1'500'000u, 921600u, 460800u, 230400u}));
  EXPECT_EQ(bench.WrongRegion(SmallPlan()), "");
}

TEST_P(LoaderTest, WorksOverASocketWithoutLinesOrRate) {
  BoardConfig config = Board(Chip::kEsp32S3);
  config.start_in_download_mode = true;
  Bench bench(config, stub());
  PeculiarStream stream(bench.stream());
  stream.socket = true;
  const std::unique_ptr<Flasher> flasher =
      Flasher::Create(stream, bench.clock(), bench.cancellation(), bench.options());
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

TEST(FlasherTest, StopsTheWatchdogsOfAChipReachedThroughItsOwnUsb) {
  BoardConfig config = Board(Chip::kEsp32C6);
  config.start_in_download_mode = true;
  Bench bench(config);
  PeculiarStream stream(bench.stream());
  stream.usb_serial_jtag = true;
  const std::unique_ptr<Flasher> flasher =
      Flasher::Create(stream, bench.clock(), bench.cancellation(), bench.options());
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

TEST_P(LoaderTest, SurvivesTroubleWhileIdentifying) {
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

TEST(FlasherTest, NoticesAnotherBoardAfterAReset) {
  BoardConfig config = Board(Chip::kEsp32C3);
  Bench bench(config);
  ASSERT_TRUE(bench.ConnectAndIdentify().ok());
  bench.board().Unplug();
  config.mac[5] = 0x77;
  bench.board().ReplaceBoard(config);

  // The stream belongs to the board that was there before.
  EXPECT_EQ(errors::CodeOf(bench.Flash(SmallPlan()).status()), ErrorCode::kBoardUnplugged);
}

TEST(FlasherTest, CallsInTheWrongOrderAreRefused) {
  Bench bench(Board(Chip::kEsp32C3));

  EXPECT_EQ(bench.flasher().Identify().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(bench.Flash(SmallPlan()).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(bench.flasher().Verify(SmallPlan(), nullptr).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(FlasherTest, ACancelledDeploymentDoesNotEvenConnect) {
  Bench bench(Board(Chip::kEsp32C3));
  bench.cancellation().Cancel("operator");

  EXPECT_EQ(bench.flasher().Connect().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(bench.board().statistics().received_bytes, 0u);
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
