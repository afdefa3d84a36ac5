#include "simulator/ota_selection.h"

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "base/little_endian.h"

namespace kiln::simulator {
namespace {

constexpr size_t kSectorSize = 0x1000;
constexpr size_t kStateAt = 24;
constexpr size_t kCrcAt = 28;
constexpr size_t kEntrySize = 32;
constexpr uint32_t kNoSequence = 0xFFFFFFFF;  // an erased sector
// esp_ota_img_states_t: what a rollback has given up.
constexpr uint32_t kStateInvalid = 3;
constexpr uint32_t kStateAborted = 4;

// The sequence number of a valid entry; 0 for any other.
uint32_t SequenceOf(absl::Span<const uint8_t> entry) {
  const uint32_t sequence = base::LoadLe32(entry.data());
  if (sequence == kNoSequence) return 0;
  const uint32_t state = base::LoadLe32(&entry[kStateAt]);
  if (state == kStateInvalid || state == kStateAborted) return 0;
  // As the ROM computes it, beginning from all ones.
  const auto crc = static_cast<uint32_t>(crc32(0xFFFFFFFF, entry.data(), sizeof(sequence)));
  return crc == base::LoadLe32(&entry[kCrcAt]) ? sequence : 0;
}

}  // namespace

std::optional<size_t> SelectOtaSlot(absl::Span<const uint8_t> data, size_t slots) {
  uint32_t newest = 0;
  for (const size_t at : {size_t{0}, kSectorSize}) {
    if (data.size() < at + kEntrySize) break;
    newest = std::max(newest, SequenceOf(data.subspan(at, kEntrySize)));
  }
  if (newest == 0 || slots == 0) return std::nullopt;
  return (newest - 1) % slots;
}

}  // namespace kiln::simulator
