// The ROM's and the stub's command sets, through a port that only records.
#include "simulator/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/little_endian.h"
#include "simulator/rom_loader.h"
#include "simulator/stub_loader.h"

namespace kiln::simulator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Bytes = std::vector<uint8_t>;

class FakePort : public LoaderPort {
 public:
  explicit FakePort(esp::Chip chip)
      : chip_(chip),
        flash_(*FindFlashPart("GD25Q32C")),
        registers_(chip, {0x7C, 0xDF, 0xA1, 1, 2, 3}, flash_) {}

  esp::Chip chip() const override { return chip_; }
  FlashMemory& flash() override { return flash_; }
  Registers& registers() override { return registers_; }
  Faults& faults() override { return faults_; }
  void SendFrame(absl::Span<const uint8_t> payload) override {
    frames.emplace_back(payload.begin(), payload.end());
    programmed_when_sent.push_back(flash_.programmed_bytes());
  }
  void Spend(absl::Duration) override {}
  void SpendAlways(absl::Duration) override {}
  bool ProgramFlash(uint32_t address, absl::Span<const uint8_t> data) override {
    flash_.Program(address, data);
    return true;
  }
  void ChangeBaudRate(uint32_t baud) override { baud_ = baud; }
  uint32_t baud_rate() const override { return baud_; }
  void StartStub() override { events.push_back("stub"); }
  void RunProgram() override { events.push_back("run"); }
  void SoftReset() override { events.push_back("soft reset"); }

  std::vector<Bytes> frames;
  std::vector<uint64_t> programmed_when_sent;
  std::vector<std::string> events;

 private:
  esp::Chip chip_;
  FlashMemory flash_;
  Registers registers_;
  Faults faults_;
  uint32_t baud_ = 115200;
};

Bytes Words(const std::vector<uint32_t>& words) {
  Bytes bytes;
  for (const uint32_t word : words) base::AppendLe(bytes, word);
  return bytes;
}

Bytes Command(uint8_t opcode, const Bytes& data, uint32_t checksum = 0) {
  Bytes frame = {0x00, opcode};
  base::AppendLe(frame, static_cast<uint16_t>(data.size()));
  base::AppendLe(frame, checksum);
  frame.insert(frame.end(), data.begin(), data.end());
  return frame;
}

Bytes DataCommand(uint8_t opcode, uint32_t sequence, const Bytes& block) {
  Bytes data = Words({static_cast<uint32_t>(block.size()), sequence, 0, 0});
  data.insert(data.end(), block.begin(), block.end());
  return Command(opcode, data, ProtocolChecksum(block));
}

Bytes Deflate(const Bytes& plain) {
  uLongf size = compressBound(plain.size());
  Bytes compressed(size);
  EXPECT_EQ(compress2(compressed.data(), &size, plain.data(), plain.size(), 9), Z_OK);
  compressed.resize(size);
  return compressed;
}

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
  return bytes;
}

Bytes FlashAt(FakePort& port, uint32_t address, size_t size) {
  Bytes bytes(size);
  port.flash().Read(address, absl::MakeSpan(bytes));
  return bytes;
}

Bytes Sync() {
  Bytes data = {0x07, 0x07, 0x12, 0x20};
  data.insert(data.end(), 32, 0x55);
  return Command(kSync, data);
}

class RomTest : public ::testing::Test {
 protected:
  // The reply to one command: status and error.
  std::pair<int, int> Do(const Bytes& frame) {
    port().frames.clear();
    rom_->Handle(frame);
    if (port().frames.empty()) return {-1, -1};
    const Bytes& reply = port().frames.back();
    return {reply.at(reply.size() - 4), reply.at(reply.size() - 3)};
  }
  Bytes Payload() {
    const Bytes& reply = port().frames.back();
    return {reply.begin() + 8, reply.end() - 4};
  }
  void Attach() { ASSERT_EQ(Do(Command(kSpiAttach, Words({0, 0}))), std::pair(0, 0)); }

  void Use(esp::Chip chip) {
    rom_.reset();
    port_holder_ = std::make_unique<FakePort>(chip);
    rom_ = std::make_unique<RomLoader>(*port_holder_);
  }
  FakePort& port() { return *port_holder_; }

  std::unique_ptr<FakePort> port_holder_ = std::make_unique<FakePort>(esp::Chip::kEsp32C3);
  std::unique_ptr<RomLoader> rom_ = std::make_unique<RomLoader>(*port_holder_);
};

TEST_F(RomTest, AnswersSyncEightTimesWithAValue) {
  Do(Sync());
  ASSERT_THAT(port().frames, SizeIs(8));
  EXPECT_NE(base::LoadLe32(&port().frames[0][4]), 0u);
  EXPECT_EQ(port().frames[0].size(), 12u);
}

TEST_F(RomTest, KnowsNothingOfTheFlashBeforeItIsAttached) {
  EXPECT_EQ(Do(Command(kFlashBegin, Words({4096, 4, 1024, 0, 0}))), std::pair(1, 6));
  EXPECT_EQ(Do(Command(kSpiFlashMd5, Words({0, 4096, 0, 0}))), std::pair(1, 6));
  Attach();
  EXPECT_EQ(Do(Command(kFlashBegin, Words({4096, 4, 1024, 0, 0}))), std::pair(0, 0));
}

TEST_F(RomTest, ErasesTheWholeRegionAtBegin) {
  Attach();
  port().flash().Program(0x11FFF, {0});
  port().flash().Program(0x12000, {0});
  ASSERT_EQ(Do(Command(kFlashBegin, Words({0x1001, 5, 1024, 0x10000 + 0x800, 0}))),
            std::pair(0, 0));
  EXPECT_TRUE(port().flash().IsBlank(0x10000, 0x2000));
  EXPECT_EQ(FlashAt(port(), 0x12000, 1), Bytes{0});
}

TEST_F(RomTest, WritesPlainBlocks) {
  Attach();
  const Bytes image = Pattern(2048);
  ASSERT_EQ(Do(Command(kFlashBegin, Words({2048, 2, 1024, 0x4000, 0}))), std::pair(0, 0));
  ASSERT_EQ(Do(DataCommand(kFlashData, 0, {image.begin(), image.begin() + 1024})), std::pair(0, 0));
  ASSERT_EQ(Do(DataCommand(kFlashData, 1, {image.begin() + 1024, image.end()})), std::pair(0, 0));
  EXPECT_EQ(FlashAt(port(), 0x4000, 2048), image);
  EXPECT_EQ(Do(DataCommand(kFlashData, 2, {1, 2, 3})), std::pair(1, 8));
}

TEST_F(RomTest, RefusesABlockWithAWrongChecksum) {
  Attach();
  ASSERT_EQ(Do(Command(kFlashBegin, Words({1024, 1, 1024, 0, 0}))), std::pair(0, 0));
  Bytes frame = DataCommand(kFlashData, 0, Pattern(1024));
  frame[100] ^= 1;
  EXPECT_EQ(Do(frame), std::pair(1, 7));
  EXPECT_TRUE(port().flash().IsBlank(0, 4096));
}

TEST_F(RomTest, WritesDeflatedBlocksAndNamesABrokenStream) {
  Attach();
  const Bytes image = Pattern(50000);
  const Bytes packed = Deflate(image);
  ASSERT_EQ(Do(Command(kFlashDeflBegin, Words({50176, 1, 1024, 0x10000, 0}))), std::pair(0, 0));
  for (size_t at = 0; at < packed.size(); at += 1024) {
    const size_t end = std::min(packed.size(), at + 1024);
    ASSERT_EQ(Do(DataCommand(kFlashDeflData, 0, {packed.begin() + at, packed.begin() + end})),
              std::pair(0, 0));
  }
  EXPECT_EQ(FlashAt(port(), 0x10000, image.size()), image);

  ASSERT_EQ(Do(Command(kFlashDeflBegin, Words({4096, 1, 1024, 0x10000, 0}))), std::pair(0, 0));
  EXPECT_EQ(Do(DataCommand(kFlashDeflData, 0, Pattern(100))), std::pair(1, 0x0B));
}

TEST_F(RomTest, AnswersMd5InHexadecimal) {
  Attach();
  port().flash().Program(0x1000, {1, 2, 3});
  ASSERT_EQ(Do(Command(kSpiFlashMd5, Words({0x1000, 3, 0, 0}))), std::pair(0, 0));
  const Bytes payload = Payload();
  EXPECT_EQ(std::string(payload.begin(), payload.end()), base::HexOf(base::Md5(Bytes{1, 2, 3})));
}

TEST_F(RomTest, Reads64BytesWhateverWasAsked) {
  Attach();
  port().flash().Program(0x1000, {1, 2, 3});
  ASSERT_EQ(Do(Command(kReadFlashSlow, Words({0x1000, 3}))), std::pair(0, 0));
  EXPECT_EQ(Payload().size(), 64u);
  EXPECT_EQ(Payload()[2], 3);
  EXPECT_EQ(Do(Command(kReadFlashSlow, Words({0x1000, 65}))), std::pair(1, 9));
}

TEST_F(RomTest, StartsAStubOnlyInsideWhatWasUploaded) {
  const auto upload = [&](uint32_t address) {
    ASSERT_EQ(Do(Command(kMemBegin, Words({100, 1, 0x1800, address}))), std::pair(0, 0));
    ASSERT_EQ(Do(DataCommand(kMemData, 0, Pattern(100))), std::pair(0, 0));
  };
  upload(0x40380000);
  Do(Command(kMemEnd, Words({0, 0x40380000 + 100})));
  EXPECT_THAT(port().events, IsEmpty());
  Do(Command(kMemEnd, Words({1, 0})));
  EXPECT_THAT(port().events, IsEmpty());
  Do(Command(kMemEnd, Words({0, 0x40380000 + 4})));
  EXPECT_THAT(port().events, ElementsAre("stub"));
}

TEST_F(RomTest, EndLeavesTheLoader) {
  Attach();
  Do(Command(kFlashBegin, Words({0, 0, 1024, 0, 0})));
  EXPECT_EQ(Do(Command(kFlashEnd, Words({1}))), std::pair(0, 0));
  Do(Command(kFlashEnd, Words({0})));
  EXPECT_THAT(port().events, ElementsAre("run", "soft reset"));
}

TEST_F(RomTest, TheBeginCommandsLengthDependsOnTheChip) {
  Attach();
  EXPECT_EQ(Do(Command(kFlashBegin, Words({0, 0, 1024, 0}))), std::pair(1, 5));
  Use(esp::Chip::kEsp32);
  Attach();
  EXPECT_EQ(Do(Command(kFlashBegin, Words({0, 0, 1024, 0}))), std::pair(0, 0));
  EXPECT_EQ(Do(Command(kFlashBegin, Words({0, 0, 1024, 0, 0}))), std::pair(1, 5));
}

TEST_F(RomTest, SecurityInfoDependsOnTheChip) {
  ASSERT_EQ(Do(Command(kGetSecurityInfo, {})), std::pair(0, 0));
  ASSERT_EQ(Payload().size(), 20u);
  EXPECT_EQ(base::LoadLe32(&Payload()[12]), 5u);
  Use(esp::Chip::kEsp32S2);
  ASSERT_EQ(Do(Command(kGetSecurityInfo, {})), std::pair(0, 0));
  EXPECT_EQ(Payload().size(), 12u);
  // The oldest ROM does not know it, and says so many times under no command's number.
  Use(esp::Chip::kEsp32);
  EXPECT_EQ(Do(Command(kGetSecurityInfo, {})), std::pair(1, 5));
  EXPECT_THAT(port().frames, SizeIs(8));
  EXPECT_NE(port().frames[0][1], kGetSecurityInfo);
}

TEST_F(RomTest, SecureDownloadModeLeavesOnlyWhatWrites) {
  port().faults().secure_download = true;
  EXPECT_EQ(Do(Command(kReadReg, Words({0x40001000}))), std::pair(1, 5));
  EXPECT_EQ(Do(Command(kMemBegin, Words({100, 1, 100, 0x40380000}))), std::pair(1, 5));
  EXPECT_EQ(Do(Command(kSpiFlashMd5, Words({0, 16, 0, 0}))), std::pair(1, 5));
  Attach();
  EXPECT_EQ(Do(Command(kFlashBegin, Words({4096, 4, 1024, 0, 0}))), std::pair(0, 0));
}

class StubTest : public ::testing::Test {
 protected:
  std::pair<int, int> Do(const Bytes& frame) {
    port_.frames.clear();
    port_.programmed_when_sent.clear();
    stub_.Handle(frame);
    if (port_.frames.empty()) return {-1, -1};
    const Bytes& reply = port_.frames.front();
    return {reply.at(reply.size() - 2), reply.at(reply.size() - 1)};
  }

  FakePort port_{esp::Chip::kEsp32};
  StubLoader stub_{port_};
};

TEST_F(StubTest, SaysOhaiAndAnswersSyncWithoutAValue) {
  stub_.Greet();
  EXPECT_THAT(port_.frames, ElementsAre(Bytes{'O', 'H', 'A', 'I'}));
  Do(Sync());
  ASSERT_THAT(port_.frames, SizeIs(8));
  EXPECT_EQ(base::LoadLe32(&port_.frames[0][4]), 0u);
}

TEST_F(StubTest, AcknowledgesABlockBeforeItIsProgrammed) {
  const Bytes packed = Deflate(Pattern(3000));
  ASSERT_EQ(Do(Command(kFlashDeflBegin, Words({3000, 1, 0x4000, 0x1000, 0}))), std::pair(0, 0));
  ASSERT_EQ(Do(DataCommand(kFlashDeflData, 0, packed)), std::pair(0, 0));
  EXPECT_THAT(port_.programmed_when_sent, ElementsAre(0));
  EXPECT_EQ(FlashAt(port_, 0x1000, 3000), Pattern(3000));
  EXPECT_EQ(Do(Command(kFlashDeflEnd, Words({1}))), std::pair(0, 0));
}

TEST_F(StubTest, ReportsABlocksFailureWithTheNextCommandWhichIsNotDone) {
  ASSERT_EQ(Do(Command(kFlashDeflBegin, Words({3000, 1, 0x4000, 0x1000, 0}))), std::pair(0, 0));
  EXPECT_EQ(Do(DataCommand(kFlashDeflData, 0, Pattern(100))), std::pair(0, 0));
  port_.flash().Program(0x8000, {0});
  EXPECT_EQ(Do(Command(kEraseRegion, Words({0x8000, 0x1000}))), std::pair(1, 0xC7));
  EXPECT_EQ(FlashAt(port_, 0x8000, 1), Bytes{0});
  EXPECT_EQ(Do(Command(kEraseRegion, Words({0x8000, 0x1000}))), std::pair(0, 0));
  EXPECT_TRUE(port_.flash().IsBlank(0x8000, 0x1000));
}

TEST_F(StubTest, EndFailsWhileBytesAreMissing) {
  ASSERT_EQ(Do(Command(kFlashBegin, Words({3000, 1, 0x4000, 0x1000, 0}))), std::pair(0, 0));
  ASSERT_EQ(Do(DataCommand(kFlashData, 0, Pattern(2999))), std::pair(0, 0));
  EXPECT_EQ(Do(Command(kFlashEnd, Words({1}))), std::pair(1, 0xC8));
}

TEST_F(StubTest, MoreThanWasAnnouncedIsAnError) {
  ASSERT_EQ(Do(Command(kFlashDeflBegin, Words({2999, 1, 0x4000, 0x1000, 0}))), std::pair(0, 0));
  ASSERT_EQ(Do(DataCommand(kFlashDeflData, 0, Deflate(Pattern(3000)))), std::pair(0, 0));
  EXPECT_EQ(Do(Command(kFlashDeflEnd, Words({1}))), std::pair(1, 0xC9));
}

TEST_F(StubTest, ErasesOnlyWhatIsNotBlank) {
  port_.flash().Program(0x2000, {0});
  ASSERT_EQ(Do(Command(kFlashBegin, Words({0x4000, 1, 0x4000, 0x1000, 0}))), std::pair(0, 0));
  EXPECT_EQ(port_.flash().erased_bytes(), 0u);
  ASSERT_EQ(Do(DataCommand(kFlashData, 0, Pattern(0x4000))), std::pair(0, 0));
  // The blank sector before the first dirty one stays; from there on all are erased.
  EXPECT_EQ(port_.flash().erased_bytes(), 0x3000u);
  EXPECT_EQ(FlashAt(port_, 0x1000, 0x4000), Pattern(0x4000));
}

TEST_F(StubTest, Md5IsRaw) {
  ASSERT_EQ(Do(Command(kSpiFlashMd5, Words({0, 4096, 0, 0}))), std::pair(0, 0));
  const Bytes& reply = port_.frames.front();
  ASSERT_EQ(reply.size(), 8u + 16 + 2);
  const base::Md5Digest expected = base::Md5(Bytes(4096, 0xFF));
  EXPECT_EQ(Bytes(reply.begin() + 8, reply.end() - 2), Bytes(expected.begin(), expected.end()));
}

TEST_F(StubTest, FalsifiesAsManyMd5AnswersAsAsked) {
  port_.faults().wrong_md5_answers = 1;
  Do(Command(kSpiFlashMd5, Words({0, 4096, 0, 0})));
  const Bytes wrong = port_.frames.front();
  Do(Command(kSpiFlashMd5, Words({0, 4096, 0, 0})));
  EXPECT_NE(wrong, port_.frames.front());
}

TEST_F(StubTest, ReadsOneAcknowledgedFrameAfterTheOther) {
  const Bytes image = Pattern(5000);
  port_.flash().Program(0x1000, image);
  ASSERT_EQ(Do(Command(kReadFlash, Words({0x1000, 5000, 4096, 64}))), std::pair(0, 0));
  ASSERT_THAT(port_.frames, SizeIs(2));
  EXPECT_EQ(port_.frames[1], Bytes(image.begin(), image.begin() + 4096));
  Do(Words({4096}));
  EXPECT_THAT(port_.frames, ElementsAre(Bytes(image.begin() + 4096, image.end())));
  Do(Words({5000}));
  const base::Md5Digest digest = base::Md5(image);
  EXPECT_THAT(port_.frames, ElementsAre(Bytes(digest.begin(), digest.end())));
}

TEST_F(StubTest, ScalesTheRateFromTheOldOne) {
  ASSERT_EQ(Do(Command(kChangeBaudRate, Words({921600, 115200}))), std::pair(0, 0));
  EXPECT_EQ(port_.baud_rate(), 921600u);
}

TEST_F(StubTest, RefusesWhatIsMalformed) {
  struct Case {
    const char* name;
    Bytes frame;
    int error;
  };
  Bytes short_length = Command(kEraseRegion, Words({0, 4096}));
  short_length[2] = 4;
  for (const Case& c : {
           Case{"length", short_length, 0xC0},
           Case{"begin words", Command(kFlashBegin, Words({1, 1, 1})), 0xC0},
           Case{"block size", Command(kFlashBegin, Words({1, 1, 0x4001, 0, 0})), 0xC2},
           Case{"beyond flash", Command(kFlashBegin, Words({1, 1, 1, 0x400000, 0})), 0xC4},
           Case{"overflow", Command(kFlashBegin, Words({0xFFFFFFFF, 1, 1, 0xFFFFF000, 0})), 0xC4},
           Case{"no begin", DataCommand(kFlashData, 0, {1}), 0xC6},
           Case{"end without begin", Command(kFlashEnd, Words({1})), 0xC6},
           Case{"unaligned erase", Command(kEraseRegion, Words({1, 4096})), 0xC2},
           Case{"erase beyond", Command(kEraseRegion, Words({0x400000, 4096})), 0xC4},
           Case{"md5 beyond", Command(kSpiFlashMd5, Words({0, 0xFFFFFFFF, 0, 0})), 0xC4},
           Case{"unknown", Command(0x77, {}), 0xC3},
       }) {
    EXPECT_EQ(Do(c.frame), std::pair(1, c.error)) << c.name;
  }
  EXPECT_EQ(Do({0x00, 0x02}), std::pair(-1, -1));
  EXPECT_EQ(Do({0x01, kSync, 0, 0, 0, 0, 0, 0}), std::pair(-1, -1));
}

TEST_F(StubTest, RunUserCodeDoesNotReply) {
  EXPECT_EQ(Do(Command(kRunUserCode, {})), std::pair(-1, -1));
  EXPECT_THAT(port_.events, ElementsAre("run"));
}

}  // namespace
}  // namespace kiln::simulator
