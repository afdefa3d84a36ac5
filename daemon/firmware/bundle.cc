#include "daemon/firmware/bundle.h"

#include <cstdint>

#include "daemon/esp/image/partition_table.h"

namespace kiln::firmware {

uint64_t Bundle::total_bytes() const {
  uint64_t total = 0;
  for (const BundleImage& image : images) total += image.size;
  return total;
}

const Partition* Bundle::identity_partition() const {
  for (const Partition& partition : partitions) {
    if (partition.type == esp::kPartitionTypeData &&
        partition.subtype == esp::kPartitionSubtypeNvs) {
      return &partition;
    }
  }
  return nullptr;
}

}  // namespace kiln::firmware
