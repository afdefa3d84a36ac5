#ifndef KILN_DAEMON_FIRMWARE_BUNDLE_H_
#define KILN_DAEMON_FIRMWARE_BUNDLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/esp/chip.h"
#include "daemon/esp/image/nvs_value.h"

namespace kiln::firmware {

struct Partition {
  std::string label;
  uint8_t type = 0;     // 0 app, 1 data
  uint8_t subtype = 0;  // data: 2 is NVS
  uint32_t offset = 0;
  uint32_t size = 0;
  uint32_t flags = 0;
};

struct BundleImage {
  std::string label;
  uint32_t offset = 0;
  uint32_t size = 0;
  std::string sha256;  // hexadecimal; also the name of its file in the store
};

struct Provenance {
  std::string source_kind;  // "esp-idf", "platformio", "esp-web-tools", "merged-image"
  std::string source_name;
  std::string source_sha256;
  std::map<std::string, std::string> facts;
};

// An immutable, content-addressed firmware. `id` is the SHA-256 of the
// canonical manifest (chip, offset, size and digest of every image, and the NVS
// values), so the same content has the same id wherever it is imported.
struct Bundle {
  std::string id;
  std::string title;
  std::string version;
  esp::Chip chip;
  std::vector<BundleImage> images;    // ascending, no overlap
  std::vector<Partition> partitions;  // as the partition table says
  // What every board gets beside its identity; by namespace and key, each once.
  std::vector<esp::NvsValue> nvs_values;
  Provenance provenance;
  bool retired = false;
  absl::Time create_time;

  uint64_t total_bytes() const;
  // The first data partition of subtype NVS, where the identity goes; null
  // without one.
  const Partition* identity_partition() const;
};

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUNDLE_H_
