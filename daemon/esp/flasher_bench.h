#ifndef KILN_DAEMON_ESP_FLASHER_BENCH_H_
#define KILN_DAEMON_ESP_FLASHER_BENCH_H_

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
#include "daemon/esp/custom_reset.h"
#include "daemon/esp/flasher.h"
#include "daemon/esp/loader_protocol.h"
#include "daemon/esp/port_profile.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/esp/slip.h"
#include "daemon/esp/stub_store.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/memory_stream.h"
#include "simulator/simulated_board.h"

// What the tests of the flasher share: a simulated board, a clock and a plan.
namespace kiln::esp {

using errors::ErrorCode;
using simulator::BoardConfig;
using simulator::Faults;
using simulator::SimulatedBoard;
using ::testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

// About as compressible as machine code.
inline Bytes CodeLike(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = random() % 3 ? static_cast<uint8_t>(random() % 64) : 0x13;
  return bytes;
}

inline Bytes WithBlankTail(Bytes bytes, size_t tail) {
  bytes.resize(bytes.size() + tail, 0xFF);
  return bytes;
}

// Prepared once for all tests, as for all boards of a batch.
inline const FlashPlan& SmallPlan() {
  static const FlashPlan* const plan =
      new FlashPlan{{"bootloader", 0x1000, PrepareImage(CodeLike(20'001, 1))},
                    {"partitions", 0x8000, PrepareImage(WithBlankTail(CodeLike(200, 2), 2872))},
                    {"nvs", 0x9000, PrepareImage(WithBlankTail(CodeLike(5000, 3), 24576 - 5000))},
                    {"app", 0x10000, PrepareImage(CodeLike(140'003, 4))}};
  return *plan;
}

// A stub of every chip; the simulated boards bring their own code.
inline StubStore EveryStub() {
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
  bool socket = false;                           // bytes only
  uint32_t highest_rate = 4'000'000;             // what is above comes out wrong
  uint32_t highest_accepted = 4'000'000;         // what is above is refused
  std::vector<uint32_t> rates;                   // that were asked for
  uint32_t highest_rate_under_load = 4'000'000;  // the same for long requests
  bool skewed_lines = false;                     // RTS changes before DTR, and EN rises slowly
  std::vector<std::pair<bool, bool>> lines;      // as they were asked for: DTR, RTS
  bool usb_serial_jtag = false;
  bool usb_otg = false;      // no line reaches the chip
  std::vector<bool> resets;  // RTS, each time the lines are set
  Bytes written;

  ports::LinkTraits traits() const override {
    if (socket) return {ports::LinkKind::kSocket, false, false};
    if (usb_otg) return {ports::LinkKind::kUsbOtg, true, false};
    if (usb_serial_jtag) return {ports::LinkKind::kUsbSerialJtag, true, false};
    return stream_.traits();
  }
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override {
    return stream_.Read(buffer, timeout);
  }
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) override {
    written.insert(written.end(), bytes.begin(), bytes.end());
    constexpr size_t kLong = 256;
    if (bytes.size() > kLong && !rates.empty() && rates.back() > highest_rate_under_load) {
      Bytes damaged(bytes.begin(), bytes.end());
      damaged[kLong] ^= 0x10;
      return stream_.Write(damaged, timeout);
    }
    return stream_.Write(bytes, timeout);
  }
  absl::Status Drain(absl::Duration timeout) override { return stream_.Drain(timeout); }
  absl::Status DiscardInput() override { return stream_.DiscardInput(); }
  absl::Status SetBaudRate(uint32_t baud) override {
    if (socket) return absl::FailedPreconditionError("a socket has no rate");
    rates.push_back(baud);
    if (baud > highest_accepted) {
      return errors::MakeError(ErrorCode::kBaudRateUnsupported, "a peculiar adapter");
    }
    return stream_.SetBaudRate(baud > highest_rate ? baud / 10 * 11 : baud);
  }
  absl::Status SetLines(bool dtr, bool rts) override {
    if (socket) return absl::FailedPreconditionError("a socket has no lines");
    resets.push_back(rts);
    if (usb_otg) return absl::OkStatus();
    const bool was_reset = !lines.empty() && lines.back() == std::pair(false, true);
    lines.emplace_back(dtr, rts);
    if (skewed_lines && dtr && rts) return absl::OkStatus();  // EN is still low
    if (skewed_lines && was_reset && dtr) {
      const absl::Status status = stream_.SetLines(false, false);
      if (!status.ok()) return status;
    }
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
    flasher_ = FlasherAt(*stream_);
  }

  // Another flasher at the same board, by way of `stream`.
  std::unique_ptr<Flasher> FlasherAt(ports::ByteStream& stream) {
    return Flasher::Create(stream, clock_, cancellation_, options_);
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

inline BoardConfig Board(Chip chip) {
  BoardConfig config;
  config.chip = chip;
  return config;
}

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_FLASHER_BENCH_H_
