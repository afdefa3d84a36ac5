#ifndef KILN_DAEMON_FIRMWARE_BUNDLE_CHECKS_H_
#define KILN_DAEMON_FIRMWARE_BUNDLE_CHECKS_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/image_header.h"
#include "daemon/firmware/bundle.h"
#include "daemon/firmware/importer.h"

namespace kiln::firmware {

// Firmware that a board can start from.
struct CheckedFirmware {
  esp::Chip chip = esp::Chip::kEsp32;
  std::vector<ImportedImage> images;  // ascending, no overlap
  std::vector<Partition> partitions;  // in the table's order
  // Of the application with the lowest offset that has one.
  std::optional<esp::AppDescription> app;
};

// Proves that the images of `firmware` are whole, made for one chip, and where they belong: aligned
// to 4 KiB, without overlap, within 32 MiB; a bootloader where the chip looks for it; a valid
// partition table behind it; everything else inside one partition; at least one application, each
// filling its partition from the start. Data partitions may hold anything. `requested_chip` may be
// empty. BundleInvalid names file and offset; BundleUnsupported a chip that is not supported.
absl::StatusOr<CheckedFirmware> CheckFirmware(const ImportedFirmware& firmware,
                                              absl::string_view requested_chip);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUNDLE_CHECKS_H_
