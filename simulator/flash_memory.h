#ifndef KILN_SIMULATOR_FLASH_MEMORY_H_
#define KILN_SIMULATOR_FLASH_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::simulator {

// One serial NOR part as its data sheet gives it: identification and typical times.
struct FlashPart {
  absl::string_view name;
  uint8_t manufacturer;
  uint8_t memory_type;
  uint32_t size_bytes;
  absl::Duration page_program;   // 256 bytes
  absl::Duration sector_erase;   // 4 KiB
  absl::Duration block32_erase;  // 32 KiB
  absl::Duration block64_erase;  // 64 KiB
  absl::Duration chip_erase;
};

absl::Span<const FlashPart> FlashParts();
// Null when the name is unknown; case does not matter.
const FlashPart* FindFlashPart(absl::string_view name);
// The part used for a size when none is named; null for a size no part has.
const FlashPart* DefaultFlashPart(uint32_t size_bytes);

// The NOR flash of one board: erasing sets bits, programming only clears them, and addresses
// beyond the end wrap around as on the part. Owned and called by its board alone. Calls return the
// time the real part would be busy.
class FlashMemory {
 public:
  static constexpr uint32_t kPageSize = 256;
  static constexpr uint32_t kSectorSize = 4096;
  static constexpr uint32_t kBlock32Size = 32 * 1024;
  static constexpr uint32_t kBlock64Size = 64 * 1024;

  // A blank part.
  explicit FlashMemory(const FlashPart& part);

  const FlashPart& part() const { return part_; }
  uint32_t size() const { return part_.size_bytes; }
  absl::Span<const uint8_t> contents() const { return bytes_; }

  // As opcode 9F answers: manufacturer in bits 0-7, then memory type, then capacity (log2).
  uint32_t JedecId() const;
  // One byte of the SFDP table (JESD216): signature, one basic parameter header, the density.
  uint8_t SfdpByte(uint32_t address) const;

  void Read(uint32_t address, absl::Span<uint8_t> out) const;
  absl::Duration Program(uint32_t address, absl::Span<const uint8_t> data);
  // Each erases the unit that holds `address`.
  absl::Duration EraseSector(uint32_t address);
  absl::Duration EraseBlock32(uint32_t address);
  absl::Duration EraseBlock64(uint32_t address);
  absl::Duration EraseChip();

  bool IsBlank(uint32_t address, uint32_t length) const;
  // Puts `contents` there as if the part had been programmed elsewhere; shorter is padded with FF.
  void Load(absl::Span<const uint8_t> contents);

  // Totals since construction, for tests and statistics.
  uint64_t programmed_bytes() const { return programmed_bytes_; }
  uint64_t erased_bytes() const { return erased_bytes_; }

 private:
  void Fill(uint32_t address, uint32_t length);

  FlashPart part_;
  std::vector<uint8_t> bytes_;
  uint64_t programmed_bytes_ = 0;
  uint64_t erased_bytes_ = 0;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_FLASH_MEMORY_H_
