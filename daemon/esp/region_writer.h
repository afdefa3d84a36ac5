#ifndef KILN_DAEMON_ESP_REGION_WRITER_H_
#define KILN_DAEMON_ESP_REGION_WRITER_H_

#include <array>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/prepared_image.h"
#include "daemon/esp/slip.h"
#include "daemon/esp/write_plan.h"

namespace kiln::esp {

struct WriteCounters {
  uint64_t written_bytes = 0;  // image bytes that differed and were written or erased
  uint64_t sent_bytes = 0;     // compressed payload
};

// Called with the bytes of the region that are in place so far.
using RegionProgress = absl::FunctionRef<void(uint32_t)>;

// Brings one region of the flash to its image, through a loader that is ready. Owned by a Flasher
// and used on its thread. Errors: FlashVerifyFailed, those of the link; after any of them the
// region's content is unknown and Write may be called again.
class RegionWriter {
 public:
  // `block_bytes`: payload of one data command. `extra_word`: LoaderTraits::begin_has_extra_word.
  RegionWriter(LoaderClient& loader, uint32_t block_bytes, bool extra_word)
      : loader_(loader), block_bytes_(block_bytes), extra_word_(extra_word) {}

  // Compares, writes what differs, and compares again.
  absl::Status Write(const FlashRegion& region, RegionProgress progress, WriteCounters& counters);
  // Compares only; FlashVerifyFailed when the region differs.
  absl::Status Verify(const FlashRegion& region);

 private:
  absl::StatusOr<base::Md5Digest> Md5On(const FlashRegion& region, Extent extent);
  absl::StatusOr<RegionState> Compare(const FlashRegion& region);
  absl::Status WriteExtent(const FlashRegion& region, Extent extent, RegionProgress progress,
                           WriteCounters& counters);
  // How long a loader may be busy with what it inflated from these blocks of `stream`.
  absl::Duration Patience(const DeflateStream& stream, uint32_t first_block,
                          uint32_t last_block) const;
  absl::Status CheckMd5(const FlashRegion& region, absl::Duration patience);

  LoaderClient& loader_;
  const uint32_t block_bytes_;
  const bool extra_word_;
  std::array<SlipEncoder, 2> frames_;  // one on the wire, one being made
  absl::Duration last_patience_;       // of the block written last
};

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_REGION_WRITER_H_
