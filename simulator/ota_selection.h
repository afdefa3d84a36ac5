#ifndef KILN_SIMULATOR_OTA_SELECTION_H_
#define KILN_SIMULATOR_OTA_SELECTION_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"

namespace kiln::simulator {

// Which of `slots` OTA applications the OTA data partition that is `data` chooses, from 0; nothing
// when it chooses none: the factory application, or else the first slot, is the bootloader's then.
//
// ESP-IDF programming guide, "Over The Air Updates", OTA data partition; esp_flash_partitions.h,
// esp_ota_select_entry_t: two sectors, so that a write that breaks off leaves the other one; each
// begins with a sequence number, a label of 20 bytes, a state and the sequence number's CRC. The
// greater number of the valid ones decides; a number n stands for the slot (n - 1) modulo their
// count. Any input is safe.
std::optional<size_t> SelectOtaSlot(absl::Span<const uint8_t> data, size_t slots);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_OTA_SELECTION_H_
