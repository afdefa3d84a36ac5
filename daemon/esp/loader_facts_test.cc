// Tables of the chips and what is computed from them.
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/esp/chip.h"
#include "daemon/esp/chip_detection.h"
#include "daemon/esp/connector.h"
#include "daemon/esp/flash_attach.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/loader_traits.h"
#include "daemon/esp/reset.h"
#include "daemon/ports/byte_stream.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::esp {
namespace {

using ::testing::HasSubstr;

TEST(LoaderTraitsTest, EveryChipIsInItsPlaceWithItsOwnMagics) {
  std::set<uint32_t> magics;
  for (const Chip chip : AllChips()) {
    const LoaderTraits& traits = LoaderTraitsOf(chip);
    EXPECT_EQ(traits.chip, chip) << TraitsOf(chip).name;
    for (const uint32_t magic : traits.magics) {
      EXPECT_TRUE(magics.insert(magic).second) << std::hex << magic;
      EXPECT_EQ(ChipOfMagic(magic), chip) << std::hex << magic;
    }
  }
  EXPECT_EQ(magics.size(), 15u);
  EXPECT_FALSE(ChipOfMagic(kEsp8266Magic).has_value());
  EXPECT_FALSE(ChipOfMagic(0).has_value());
}

TEST(FlashSizeTest, FollowsTheCapacityByte) {
  const struct {
    uint32_t id;
    std::optional<uint32_t> size;
  } cases[] = {
      {0x164068, 4u << 20},      // BoyaMicro
      {0x1840C8, 16u << 20},     // GD25Q128
      {0x1540EF, 2u << 20},      // W25Q16
      {0x1940C8, 32u << 20},     // GD25Q256
      {0x2039C2, 64u << 20},     // Macronix
      {0x3620C2, 4u << 20},      //
      {0x1240EF, 256u << 10},    //
      {0xFF164068, 4u << 20},    // only 24 bits count
      {0x000000, std::nullopt},  // nobody drives the bus
      {0xFFFFFF, std::nullopt},  // the bus is pulled up
      {0x1140EF, std::nullopt},  // below the table
      {0x9940EF, std::nullopt},  // no such capacity
  };
  for (const auto& c : cases) EXPECT_EQ(FlashSizeOfJedecId(c.id), c.size) << std::hex << c.id;
}

TEST(MacTest, ComesOutOfTwoWords) {
  EXPECT_EQ(FormatMac(MacOfWords(0xA1B2C3D4, 0xFFFF7CDF)), "7c:df:a1:b2:c3:d4");
}

TEST(SecurityInfoTest, ReadsFlagsAndParity) {
  SecurityInfo info;
  EXPECT_FALSE(info.secure_boot() || info.secure_download() || info.flash_encryption());
  info.flags = 5;
  EXPECT_TRUE(info.secure_boot());
  EXPECT_TRUE(info.secure_download());
  for (const uint8_t count : {0, 3, 5, 6}) {
    info.crypt_count = count;
    EXPECT_FALSE(info.flash_encryption()) << int{count};
  }
  for (const uint8_t count : {1, 2, 4, 7}) {
    info.crypt_count = count;
    EXPECT_TRUE(info.flash_encryption()) << int{count};
  }
}

TEST(RomBaudRateTest, CorrectsForTheCrystalTheRomIsWrongAbout) {
  const struct {
    std::string name;
    uint32_t believed;
    std::vector<uint32_t> candidates;
    uint32_t divider;
    uint32_t rate;
  } cases[] = {
      {"C2 with 40 MHz", 40, {40, 26}, 347, 921600},
      {"C2 with 26 MHz", 40, {40, 26}, 225, 1417846},
      {"C5 that knows its 48 MHz", 48, {40, 48}, 416, 921600},
      {"C5 that believes in 40 MHz", 40, {40, 48}, 416, 768000},
      {"fraction bits are ignored", 40, {40, 26}, 347 | 4u << 20, 921600},
      {"no reading", 40, {40, 26}, 0, 921600},
      {"a reading like no crystal", 40, {40, 26}, 290, 921600},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(RomBaudRate(c.believed, c.candidates, c.divider, 921600), c.rate) << c.name;
  }
}

TEST(RomBaudRateTest, KnowsWhatTheRomOfTheEsp32Measured) {
  EXPECT_EQ(CrystalHzOfEsp32Rom(2020 << 7, 51), 40'242'187u);
  EXPECT_EQ(CrystalHzOfEsp32Rom(1300 << 7 | 0x7F, 0xFF00 | 51), 25'898'437u);
  EXPECT_FALSE(CrystalHzOfEsp32Rom(0, 51).has_value());
  EXPECT_FALSE(CrystalHzOfEsp32Rom(2020 << 7, 0).has_value()) << "no value burned";
}

TEST(FlashPinsTest, TakesThePadsOfTheEsp32FromItsEfuses) {
  // PICO-D4: CLK 6, Q 17, D 8, CS 16, HD 11.
  const uint32_t word5 = 6 | 17 << 5 | 8 << 10 | 16 << 15;
  EXPECT_EQ(FlashPinsOfEsp32(word5, 11 << 4), 11u << 24 | 16 << 18 | 8 << 12 | 17 << 6 | 6);
  EXPECT_EQ(FlashPinsOfEsp32(0, 0), 0u);
  EXPECT_EQ(FlashPinsOfEsp32(0xFFFFF, 0), 0u);
  EXPECT_EQ(FlashPinsOfEsp32(6 | 6 << 5 | 8 << 10 | 16 << 15, 0), 0u) << "two pads at one pin";
  // 30 and 31 stand for GPIO32 and GPIO33.
  EXPECT_EQ(FlashPinsOfEsp32(30 | 31 << 5 | 8 << 10 | 16 << 15, 0),
            16u << 18 | 8 << 12 | 33 << 6 | 32);
}

TEST(DiagnosisTest, TellsBootLogsFromSilence) {
  const struct {
    std::string name;
    std::string printed;
    errors::ErrorCode code;
    std::string says;
  } cases[] = {
      {"nothing", "", errors::ErrorCode::kBoardSilent, "nothing arrives"},
      {"a program that talks", "hello\r\n", errors::ErrorCode::kBoardSilent, "7 bytes"},
      {"ESP32 started its program",
       "ets Jun  8 2016 00:22:57\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 "
       "(SPI_FAST_FLASH_BOOT)\r\nconfigsip: 0\r\n",
       errors::ErrorCode::kBoardWrongBootMode, "boot:0x13 (SPI_FAST_FLASH_BOOT),"},
      {"C3, the newest start counts",
       "boot:0x4 (X)\r\nrst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n",
       errors::ErrorCode::kBoardWrongBootMode, "boot:0xc (SPI_FAST_FLASH_BOOT)"},
      {"noise after the mode", "boot:0x13 \xf8\xff(\r\n", errors::ErrorCode::kBoardWrongBootMode,
       "boot:0x13 \\xf8\\xff("},
      {"loader that does not hear",
       "rst:0x1 (POWERON),boot:0x4 (DOWNLOAD(USB/UART0))\r\nwaiting for download\r\n",
       errors::ErrorCode::kBoardSilent, "RX"},
  };
  for (const auto& c : cases) {
    const absl::Status status = DiagnoseSilence(c.printed);
    EXPECT_EQ(errors::CodeOf(status), c.code) << c.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.says)) << c.name;
  }
}

TEST(ResetSequenceTest, FitTheLink) {
  const auto names = [](ports::LinkKind kind, bool lines) {
    std::vector<std::string> result;
    for (const ResetSequence& sequence : LoaderResetSequences({kind, lines, true})) {
      result.emplace_back(sequence.name);
    }
    return result;
  };
  EXPECT_THAT(names(ports::LinkKind::kUartBridge, true),
              testing::ElementsAre("UnixTight 50 ms", "UnixTight 550 ms", "Classic 50 ms",
                                   "Classic 550 ms"));
  EXPECT_THAT(names(ports::LinkKind::kUsbSerialJtag, true), testing::ElementsAre("USB-JTAG"));
  EXPECT_THAT(names(ports::LinkKind::kRemoteSerial, true),
              testing::ElementsAre("Classic 50 ms", "Classic 550 ms"));
  EXPECT_THAT(names(ports::LinkKind::kSocket, false), testing::IsEmpty());
}

TEST(ResetSequenceTest, EveryWayIntoTheLoaderResetsWithGpio0LowAndLetsGo) {
  for (const ports::LinkKind kind : {ports::LinkKind::kUartBridge, ports::LinkKind::kUsbSerialJtag,
                                     ports::LinkKind::kRemoteSerial}) {
    for (const ResetSequence& sequence : LoaderResetSequences({kind, true, true})) {
      EXPECT_TRUE(kind != ports::LinkKind::kRemoteSerial || sequence.steps.front().rts)
          << "a far server takes a release of RTS for a reset";
      bool was_in_reset = false;
      bool entered = false;
      absl::Duration held;
      for (const LineStep& step : sequence.steps) {
        // The auto-reset circuit: EN is low while RTS alone is asserted, GPIO0 while DTR alone is.
        // The USB peripheral remembers DTR from before instead.
        const bool in_reset = step.rts && !step.dtr;
        if (was_in_reset && !in_reset) {
          entered = step.dtr || kind == ports::LinkKind::kUsbSerialJtag;
        }
        if (in_reset) held += step.hold;
        was_in_reset = in_reset;
      }
      EXPECT_TRUE(entered) << sequence.name;
      EXPECT_GE(held, absl::Milliseconds(100)) << sequence.name;
      EXPECT_FALSE(sequence.steps.back().dtr || sequence.steps.back().rts) << sequence.name;
    }
  }
}

TEST(ResetSequenceTest, ProgramsOnUsbOtgAreNeverToldToStartAnewInstead) {
  for (const ResetSequence& sequence :
       LoaderResetSequences({ports::LinkKind::kUsbOtg, true, false})) {
    bool rts = true;  // opening asserts both
    bool asked = false;
    std::string states;
    for (const LineStep& step : sequence.steps) {
      if (rts && !step.rts && !asked) {
        EXPECT_TRUE(step.dtr) << sequence.name << ": ESP-IDF's console would restart the program";
        asked = true;
      }
      rts = step.rts;
      states += step.dtr ? (step.rts ? "b" : "d") : (step.rts ? "r" : "-");
    }
    EXPECT_TRUE(asked) << sequence.name;
    EXPECT_EQ(states, "rbd-") << sequence.name << ": what Arduino's USBCDC waits for";
  }
}

}  // namespace
}  // namespace kiln::esp
