#ifndef KILN_DAEMON_ESP_FLASH_ATTACH_H_
#define KILN_DAEMON_ESP_FLASH_ATTACH_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/loader_client.h"

namespace kiln::esp {

struct AttachedFlash {
  uint32_t jedec_id = 0;
  uint32_t size_bytes = 0;
};

// Connects the flash to the loader, reads its JEDEC id through the SPI controller and tells the
// loader its size. Errors: FlashUnknown, those of the link.
absl::StatusOr<AttachedFlash> AttachFlash(LoaderClient& loader, Chip chip);

// The ESP32's flash pins as SPI_ATTACH takes them, from eFuse words 5 and 3 of BLOCK0; 0 when they
// name the default pins.
uint32_t FlashPinsOfEsp32(uint32_t word5, uint32_t word3);

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_FLASH_ATTACH_H_
