#include "simulator/flash_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace kiln::simulator {
namespace {

FlashMemory MakeFlash() { return FlashMemory(*FindFlashPart("gd25q32c")); }

uint8_t ByteAt(const FlashMemory& flash, uint32_t address) {
  uint8_t byte;
  flash.Read(address, absl::MakeSpan(&byte, 1));
  return byte;
}

TEST(FlashMemoryTest, IsBlankWhenNew) {
  const FlashMemory flash = MakeFlash();
  EXPECT_EQ(flash.size(), 4u * 1024 * 1024);
  EXPECT_TRUE(flash.IsBlank(0, flash.size()));
}

TEST(FlashMemoryTest, ProgrammingOnlyClearsBits) {
  FlashMemory flash = MakeFlash();
  flash.Program(0x100, {0xF0});
  flash.Program(0x100, {0x3C});
  EXPECT_EQ(ByteAt(flash, 0x100), 0x30);
}

TEST(FlashMemoryTest, ErasesTheUnitThatHoldsTheAddress) {
  struct Case {
    absl::Duration (FlashMemory::*erase)(uint32_t);
    uint32_t size;
  };
  for (const Case& c :
       {Case{&FlashMemory::EraseSector, 0x1000}, Case{&FlashMemory::EraseBlock32, 0x8000},
        Case{&FlashMemory::EraseBlock64, 0x10000}}) {
    FlashMemory flash = MakeFlash();
    const uint32_t begin = 0x20000;
    for (const uint32_t at : {begin - 1, begin, begin + c.size - 1, begin + c.size}) {
      flash.Program(at, {0x00});
    }
    (flash.*c.erase)(begin + c.size / 2);
    EXPECT_EQ(ByteAt(flash, begin - 1), 0x00) << c.size;
    EXPECT_TRUE(flash.IsBlank(begin, c.size)) << c.size;
    EXPECT_EQ(ByteAt(flash, begin + c.size), 0x00) << c.size;
    EXPECT_EQ(flash.erased_bytes(), c.size);
  }
}

TEST(FlashMemoryTest, ProgramTakesOnePageTimeForEachPageTouched) {
  FlashMemory flash = MakeFlash();
  const absl::Duration page = flash.part().page_program;
  EXPECT_EQ(flash.Program(0x000, std::vector<uint8_t>(256)), page);
  EXPECT_EQ(flash.Program(0x0FF, std::vector<uint8_t>(2)), 2 * page);
  EXPECT_EQ(flash.Program(0x180, std::vector<uint8_t>(512)), 3 * page);
}

TEST(FlashMemoryTest, IdentifiesItselfAsThePart) {
  EXPECT_EQ(MakeFlash().JedecId(), 0x1640C8u);
  EXPECT_EQ(FlashMemory(*FindFlashPart("GD25Q128")).JedecId(), 0x1840C8u);
  EXPECT_EQ(FlashMemory(*FindFlashPart("W25Q16")).JedecId(), 0x1540EFu);
  EXPECT_EQ(FindFlashPart("AT45"), nullptr);
}

TEST(FlashMemoryTest, SfdpTellsSignatureAndDensity) {
  const FlashMemory flash = MakeFlash();
  EXPECT_EQ(flash.SfdpByte(0), 'S');
  EXPECT_EQ(flash.SfdpByte(3), 'P');
  const uint32_t table = flash.SfdpByte(0x0C);
  uint32_t density = 0;
  for (uint32_t i = 0; i < 4; ++i) density |= uint32_t{flash.SfdpByte(table + 4 + i)} << (8 * i);
  EXPECT_EQ(density, flash.size() * 8 - 1);
}

TEST(FlashMemoryTest, AddressesWrapAround) {
  FlashMemory flash = MakeFlash();
  flash.Program(flash.size(), {0x42});
  EXPECT_EQ(ByteAt(flash, 0), 0x42);
}

}  // namespace
}  // namespace kiln::simulator
