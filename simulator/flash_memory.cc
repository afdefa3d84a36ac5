#include "simulator/flash_memory.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::simulator {
namespace {

constexpr uint32_t kMiB = 1024 * 1024;

}  // namespace

absl::Span<const FlashPart> FlashParts() {
  // Typical values of the data sheets' AC characteristics: GD25Q32C, GD25Q64C, GD25Q128C and
  // GD25Q256E (GigaDevice), W25Q16JV and W25Q32JV (Winbond).
  static const FlashPart parts[] = {
      {"W25Q16", 0xEF, 0x40, 2 * kMiB, absl::Microseconds(400), absl::Milliseconds(45),
       absl::Milliseconds(120), absl::Milliseconds(150), absl::Seconds(5)},
      {"GD25Q32C", 0xC8, 0x40, 4 * kMiB, absl::Microseconds(600), absl::Milliseconds(50),
       absl::Milliseconds(150), absl::Milliseconds(250), absl::Seconds(15)},
      {"W25Q32", 0xEF, 0x40, 4 * kMiB, absl::Microseconds(400), absl::Milliseconds(45),
       absl::Milliseconds(120), absl::Milliseconds(150), absl::Seconds(10)},
      {"GD25Q64C", 0xC8, 0x40, 8 * kMiB, absl::Microseconds(500), absl::Milliseconds(45),
       absl::Milliseconds(150), absl::Milliseconds(250), absl::Seconds(25)},
      {"GD25Q128", 0xC8, 0x40, 16 * kMiB, absl::Microseconds(500), absl::Milliseconds(45),
       absl::Milliseconds(150), absl::Milliseconds(250), absl::Seconds(60)},
      {"GD25Q256E", 0xC8, 0x40, 32 * kMiB, absl::Microseconds(250), absl::Milliseconds(45),
       absl::Milliseconds(120), absl::Milliseconds(150), absl::Seconds(80)},
  };
  return parts;
}

const FlashPart* FindFlashPart(absl::string_view name) {
  for (const FlashPart& part : FlashParts()) {
    if (absl::EqualsIgnoreCase(part.name, name)) return &part;
  }
  return nullptr;
}

const FlashPart* DefaultFlashPart(uint32_t size_bytes) {
  for (const FlashPart& part : FlashParts()) {
    if (part.size_bytes == size_bytes) return &part;
  }
  return nullptr;
}

FlashMemory::FlashMemory(const FlashPart& part) : part_(part), bytes_(part.size_bytes, 0xFF) {}

uint32_t FlashMemory::JedecId() const {
  const uint32_t capacity = static_cast<uint32_t>(std::countr_zero(part_.size_bytes));
  return part_.manufacturer | uint32_t{part_.memory_type} << 8 | capacity << 16;
}

uint8_t FlashMemory::SfdpByte(uint32_t address) const {
  // JESD216: header (signature, revision, number of headers), one header of the basic table at
  // 0x30 with 9 words, whose second word is the density in bits less one.
  static constexpr uint8_t kHeader[] = {'S',  'F', 'D', 'P', 0x00, 0x01, 0x00, 0xFF,
                                        0x00, 0x0, 0x1, 9,   0x30, 0x00, 0x00, 0xFF};
  constexpr uint32_t kTable = 0x30;
  constexpr uint32_t kDensity = kTable + 4;
  if (address < sizeof(kHeader)) return kHeader[address];
  if (address >= kDensity && address < kDensity + 4) {
    const uint32_t density = part_.size_bytes * 8 - 1;  // 32 MiB parts still fit
    return static_cast<uint8_t>(density >> (8 * (address - kDensity)));
  }
  return 0xFF;
}

void FlashMemory::Read(uint32_t address, absl::Span<uint8_t> out) const {
  for (uint8_t& byte : out) byte = bytes_[address++ % size()];
}

absl::Duration FlashMemory::Program(uint32_t address, absl::Span<const uint8_t> data) {
  absl::Duration busy;
  for (size_t done = 0; done < data.size();) {
    const uint32_t at = address + static_cast<uint32_t>(done);
    const size_t in_page = std::min<size_t>(kPageSize - at % kPageSize, data.size() - done);
    for (size_t i = 0; i < in_page; ++i) bytes_[(at + i) % size()] &= data[done + i];
    done += in_page;
    busy += part_.page_program;
  }
  programmed_bytes_ += data.size();
  return busy;
}

absl::Duration FlashMemory::EraseSector(uint32_t address) {
  Fill(address - address % kSectorSize, kSectorSize);
  return part_.sector_erase;
}

absl::Duration FlashMemory::EraseBlock32(uint32_t address) {
  Fill(address - address % kBlock32Size, kBlock32Size);
  return part_.block32_erase;
}

absl::Duration FlashMemory::EraseBlock64(uint32_t address) {
  Fill(address - address % kBlock64Size, kBlock64Size);
  return part_.block64_erase;
}

absl::Duration FlashMemory::EraseChip() {
  Fill(0, size());
  return part_.chip_erase;
}

bool FlashMemory::IsBlank(uint32_t address, uint32_t length) const {
  for (uint32_t i = 0; i < length; ++i) {
    if (bytes_[(address + i) % size()] != 0xFF) return false;
  }
  return true;
}

void FlashMemory::Load(absl::Span<const uint8_t> contents) {
  std::fill(bytes_.begin(), bytes_.end(), uint8_t{0xFF});
  std::copy_n(contents.begin(), std::min<size_t>(contents.size(), bytes_.size()), bytes_.begin());
}

void FlashMemory::Fill(uint32_t address, uint32_t length) {
  for (uint32_t i = 0; i < length; ++i) bytes_[(address + i) % size()] = 0xFF;
  erased_bytes_ += length;
}

}  // namespace kiln::simulator
