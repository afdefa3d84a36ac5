#include "simulator/simulated_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/little_endian.h"
#include "simulator/demo_image.h"
#include "simulator/loader.h"
#include "simulator/slip.h"

namespace kiln::simulator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Bytes = std::vector<uint8_t>;

// A host at the other end of the wire, with a time of its own making.
class Host {
 public:
  explicit Host(const BoardConfig& config) : board(config, absl::ZeroDuration()) {}

  // Everything the board says in the next `duration`.
  Bytes Listen(absl::Duration duration) {
    now += duration;
    board.Advance(now);
    Bytes all;
    uint8_t buffer[1024];
    while (const size_t size = board.TakeOutput(now, absl::MakeSpan(buffer))) {
      all.insert(all.end(), buffer, buffer + size);
    }
    return all;
  }
  std::string ListenText(absl::Duration duration) {
    const Bytes bytes = Listen(duration);
    return {bytes.begin(), bytes.end()};
  }
  void Send(const Bytes& payload) { board.Receive(now, SlipEncode(payload)); }
  std::vector<Bytes> Ask(const Bytes& payload, absl::Duration wait = absl::Milliseconds(10)) {
    Send(payload);
    return Frames(Listen(wait));
  }
  static std::vector<Bytes> Frames(const Bytes& bytes) {
    SlipDecoder decoder(0x10000);
    std::vector<Bytes> frames;
    for (const uint8_t byte : bytes) {
      if (auto frame = decoder.Add(byte); frame.has_value()) frames.push_back(*frame);
    }
    return frames;
  }
  void EnterDownload() {
    board.SetLines(now, false, true);
    now += absl::Milliseconds(100);
    board.SetLines(now, true, false);
    now += absl::Milliseconds(50);
    board.SetLines(now, false, false);
    Listen(absl::Milliseconds(100));
  }

  SimulatedBoard board;
  absl::Duration now;
};

Bytes Command(uint8_t opcode, const std::vector<uint32_t>& words, const Bytes& block = {}) {
  Bytes data;
  for (const uint32_t word : words) base::AppendLe(data, word);
  data.insert(data.end(), block.begin(), block.end());
  Bytes frame = {0x00, opcode};
  base::AppendLe(frame, static_cast<uint16_t>(data.size()));
  base::AppendLe(frame, uint32_t{ProtocolChecksum(block)});
  frame.insert(frame.end(), data.begin(), data.end());
  return frame;
}

Bytes Sync() {
  Bytes tail(32, 0x55);
  return Command(kSync, {0x20120707}, tail);
}

BoardConfig Config() {
  BoardConfig config;
  config.chip = esp::Chip::kEsp32C3;
  return config;
}

void StartStub(Host& host) {
  host.EnterDownload();
  ASSERT_THAT(host.Ask(Sync()), SizeIs(8));
  host.Ask(Command(kMemBegin, {16, 1, 0x1800, 0x40380000}));
  host.Ask(Command(kMemData, {16, 0, 0, 0}, Bytes(16, 1)));
  const std::vector<Bytes> replies = host.Ask(Command(kMemEnd, {0, 0x40380000}));
  ASSERT_THAT(replies, SizeIs(2));
  ASSERT_EQ(replies[1], (Bytes{'O', 'H', 'A', 'I'}));
}

// Begins a region and writes blocks of 1 KiB to it; how many were acknowledged.
int WriteBlocks(Host& host, int blocks) {
  host.Ask(Command(kFlashBegin, {static_cast<uint32_t>(blocks) * 1024,
                                 static_cast<uint32_t>(blocks), 1024, 0x10000, 0}));
  int acknowledged = 0;
  for (int i = 0; i < blocks; ++i) {
    const std::vector<Bytes> replies =
        host.Ask(Command(kFlashData, {1024, static_cast<uint32_t>(i), 0, 0}, Bytes(1024, 0x5A)));
    acknowledged += replies.size() == 1 && replies[0][8] == 0;
  }
  return acknowledged;
}

TEST(SimulatedBoardTest, LinesDecideBetweenProgramAndDownload) {
  Host host(Config());
  EXPECT_THAT(host.ListenText(absl::Milliseconds(100)), HasSubstr("SPI_FAST_FLASH_BOOT"));
  host.board.SetLines(host.now, false, true);
  EXPECT_EQ(host.ListenText(absl::Milliseconds(100)), "");
  host.board.SetLines(host.now, true, false);
  EXPECT_THAT(host.ListenText(absl::Milliseconds(10)), HasSubstr("waiting for download"));
  EXPECT_TRUE(host.board.in_download_mode());
  // Letting IO0 go changes nothing.
  host.board.SetLines(host.now, false, false);
  EXPECT_TRUE(host.board.in_download_mode());
  // Both asserted keep each other off.
  host.board.SetLines(host.now, true, true);
  EXPECT_EQ(host.ListenText(absl::Milliseconds(10)), "");
  EXPECT_TRUE(host.board.in_download_mode());
}

TEST(SimulatedBoardTest, BlankFlashLoopsForEver) {
  Host host(Config());
  const std::string text = host.ListenText(absl::Seconds(2));
  size_t starts = 0;
  for (size_t at = 0; (at = text.find("rst:0x", at)) != std::string::npos; ++at) ++starts;
  EXPECT_GE(starts, 4u) << text;
}

TEST(SimulatedBoardTest, ResetsIntoWhatIsInTheFlash) {
  Host host(Config());
  host.board.flash_memory().Load(MergeDemoImage(MakeDemoImage(esp::Chip::kEsp32C3, 65536, 1)));
  host.board.PressReset(host.now);
  EXPECT_THAT(host.ListenText(absl::Seconds(1)), HasSubstr("{\"kiln\":1,"));
  EXPECT_EQ(host.ListenText(absl::Seconds(5)), "");
}

TEST(SimulatedBoardTest, SoftResetKeepsTheStrapsButRunUserCodeStartsTheProgram) {
  Host host(Config());
  host.board.flash_memory().Load(MergeDemoImage(MakeDemoImage(esp::Chip::kEsp32C3, 65536, 1)));
  StartStub(host);
  host.Ask(Command(kFlashBegin, {0, 0, 1024, 0, 0}));
  host.Send(Command(kFlashEnd, {0}));
  EXPECT_THAT(host.ListenText(absl::Milliseconds(100)), HasSubstr("waiting for download"));
  StartStub(host);
  host.Send(Command(kRunUserCode, {}));
  EXPECT_THAT(host.ListenText(absl::Seconds(1)), HasSubstr("{\"kiln\":1,"));
}

TEST(SimulatedBoardTest, RomTakesTheHostsRateAtTheFirstFrame) {
  Host host(Config());
  host.EnterDownload();
  host.board.SetHostBaudRate(460800);
  EXPECT_THAT(host.Ask(Sync()), SizeIs(8));
  host.board.SetHostBaudRate(230400);
  EXPECT_THAT(host.Ask(Sync()), SizeIs(0));
  EXPECT_GT(host.board.statistics().garbled_bytes, 0u);
}

TEST(SimulatedBoardTest, AStubHasNoRoomForAFrameSentTooEarly) {
  Host host(Config());
  StartStub(host);
  Bytes two = SlipEncode(Command(kReadReg, {0x60000014}));
  const Bytes once = two;
  two.insert(two.end(), once.begin(), once.end());
  host.board.Receive(host.now, two);
  EXPECT_THAT(Host::Frames(host.Listen(absl::Milliseconds(10))), SizeIs(1));
  EXPECT_EQ(host.board.statistics().overrun_bytes, once.size());
}

TEST(SimulatedBoardTest, ModelledTimesAreThoseOfWireAndFlash) {
  BoardConfig config = Config();
  config.model_times = true;
  config.flash_part = "GD25Q32C";
  Host host(config);
  host.EnterDownload();
  host.Ask(Sync(), absl::Milliseconds(100));
  host.Ask(Command(kSpiAttach, {0, 0}), absl::Milliseconds(100));
  // Erasing one dirty or blank 64 KiB block takes the ROM 250 ms.
  host.Send(Command(kFlashBegin, {0x10000, 64, 1024, 0x10000, 0}));
  EXPECT_THAT(host.Listen(absl::Milliseconds(245)), SizeIs(0));
  EXPECT_THAT(Host::Frames(host.Listen(absl::Milliseconds(20))), SizeIs(1));
  // 1040 bytes at 115200 baud take 90 ms, four pages 2.4 ms.
  host.Send(Command(kFlashData, {1024, 0, 0, 0}, Bytes(1024, 1)));
  EXPECT_THAT(host.Listen(absl::Milliseconds(90)), SizeIs(0));
  EXPECT_THAT(Host::Frames(host.Listen(absl::Milliseconds(10))), SizeIs(1));
}

TEST(SimulatedBoardFaultTest, LostAndFlippedBytesSpoilTheirFrames) {
  for (const char* fault : {"lose-to-board-at=20", "flip-to-board-at=3", "lose-to-host-at=1"}) {
    Host host(Config());
    StartStub(host);
    Faults faults;
    ASSERT_TRUE(ParseFault(fault, faults).ok());
    host.board.SetFaults(faults);
    const std::vector<Bytes> bad = host.Ask(Command(kFlashBegin, {0, 0, 1024, 0, 0}));
    EXPECT_TRUE(bad.empty() || bad[0].at(8) != 0) << fault;
  }
}

TEST(SimulatedBoardFaultTest, LateBytesComeLater) {
  BoardConfig config = Config();
  config.faults.to_host.late_every = 1;
  config.faults.to_host.late_by = absl::Milliseconds(20);
  Host host(config);
  EXPECT_THAT(host.Listen(absl::Milliseconds(19)), SizeIs(0));
  EXPECT_THAT(host.Listen(absl::Milliseconds(2)), SizeIs(1));
}

TEST(SimulatedBoardFaultTest, ResetInTheMiddleOfWritingGoesBackToBoot) {
  Host host(Config());
  StartStub(host);
  Faults faults;
  faults.reset_after_flash_bytes = 2500;
  host.board.SetFaults(faults);
  EXPECT_LE(WriteBlocks(host, 8), 3);
  EXPECT_FALSE(host.board.stub_running());
  EXPECT_EQ(host.board.statistics().programmed_bytes, 2500u);
  EXPECT_THAT(host.ListenText(absl::Seconds(1)), HasSubstr("rst:0x"));
}

TEST(SimulatedBoardFaultTest, PowerLossLeavesTheBoardDeadUntilReplugged) {
  Host host(Config());
  StartStub(host);
  Faults faults;
  faults.power_loss_after_flash_bytes = 1500;
  host.board.SetFaults(faults);
  WriteBlocks(host, 4);
  EXPECT_FALSE(host.board.powered());
  host.board.SetLines(host.now, false, true);
  host.board.SetLines(host.now, true, false);
  EXPECT_THAT(host.Ask(Sync()), SizeIs(0));
  host.board.PowerOff();
  host.board.PowerOn(host.now);
  host.EnterDownload();
  EXPECT_THAT(host.Ask(Sync()), SizeIs(8));
  // Once was enough: the fault does not strike again.
  EXPECT_TRUE(host.board.powered());
}

TEST(SimulatedBoardFaultTest, UnplugIsAskedOfTheFrontOnce) {
  Host host(Config());
  StartStub(host);
  Faults faults;
  faults.unplug_after_flash_bytes = 1024;
  host.board.SetFaults(faults);
  WriteBlocks(host, 2);
  EXPECT_TRUE(host.board.TakeUnplugRequest());
  EXPECT_FALSE(host.board.TakeUnplugRequest());
}

TEST(SimulatedBoardFaultTest, ASilentStubHangsUntilReset) {
  BoardConfig config = Config();
  config.faults.stub_silent = true;
  Host host(config);
  host.EnterDownload();
  host.Ask(Sync());
  host.Ask(Command(kMemBegin, {16, 1, 0x1800, 0x40380000}));
  host.Ask(Command(kMemData, {16, 0, 0, 0}, Bytes(16, 1)));
  EXPECT_THAT(host.Ask(Command(kMemEnd, {0, 0x40380000})), SizeIs(1));
  EXPECT_THAT(host.Ask(Sync()), SizeIs(0));
  host.EnterDownload();
  EXPECT_THAT(host.Ask(Sync()), SizeIs(8));
}

TEST(SimulatedBoardFaultTest, SlowErasesTakeTheirExtraTime) {
  BoardConfig config = Config();
  config.faults.erase_extra = absl::Seconds(1);
  Host host(config);
  host.EnterDownload();
  host.Ask(Sync());
  host.Ask(Command(kSpiAttach, {0, 0}));
  host.Send(Command(kFlashBegin, {0x3000, 3, 4096, 0x1000, 0}));
  EXPECT_THAT(host.Listen(absl::Milliseconds(2900)), SizeIs(0));
  EXPECT_THAT(Host::Frames(host.Listen(absl::Milliseconds(200))), SizeIs(1));
}

TEST(SimulatedBoardFaultTest, SecurityShowsInRegistersAndInfo) {
  BoardConfig config = Config();
  config.faults.secure_boot = true;
  config.faults.flash_encryption = true;
  Host host(config);
  host.EnterDownload();
  host.Ask(Sync());
  const std::vector<Bytes> info = host.Ask(Command(kGetSecurityInfo, {}));
  ASSERT_THAT(info, SizeIs(1));
  EXPECT_EQ(base::LoadLe32(&info[0][8]), 1u);
  EXPECT_EQ(info[0][12], 1);
  const std::vector<Bytes> word = host.Ask(Command(kReadReg, {0x60008838}));
  ASSERT_THAT(word, SizeIs(1));
  EXPECT_NE(base::LoadLe32(&word[0][4]) & (1u << 20), 0u);
}

TEST(FaultsTest, NamesAreParsedAndWrongOnesRefused) {
  Faults faults;
  EXPECT_TRUE(ParseFault("power-loss-after=65536", faults).ok());
  EXPECT_EQ(faults.power_loss_after_flash_bytes, 65536u);
  EXPECT_TRUE(ParseFault("identity-customer=ABC", faults).ok());
  EXPECT_EQ(faults.identity_customer, "ABC");
  EXPECT_TRUE(ParseFault("none", faults).ok());
  EXPECT_FALSE(faults.power_loss_after_flash_bytes.has_value());
  for (const char* bad : {"", "unknown", "reset-after", "reset-after=", "reset-after=-1",
                          "reset-after=x", "stub-silent=1", "identity-mac"}) {
    EXPECT_EQ(ParseFault(bad, faults).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace kiln::simulator
