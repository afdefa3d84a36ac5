#ifndef KILN_DAEMON_ESP_PREPARED_IMAGE_H_
#define KILN_DAEMON_ESP_PREPARED_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/digest.h"

namespace kiln::esp {

// Flash is erased in sectors of this size; every offset in a plan is a multiple of it.
inline constexpr uint32_t kFlashSectorBytes = 4096;

// A zlib stream (RFC 1950) of a part of an image. Immutable.
class DeflateStream {
 public:
  // Compresses `plain`; higher levels (1 to 12) take longer.
  DeflateStream(absl::Span<const uint8_t> plain, int level);

  absl::Span<const uint8_t> bytes() const { return bytes_; }
  uint32_t plain_bytes() const { return plain_bytes_; }
  // How many plain bytes a loader has inflated once it has the first `sent_bytes` of the stream;
  // rounded down to what whole KiB of the stream give.
  uint32_t PlainBytesAfter(size_t sent_bytes) const;

 private:
  std::vector<uint8_t> bytes_;
  uint32_t plain_bytes_;
  std::vector<uint32_t> plain_after_kib_;  // [i]: plain bytes inflated from the first i KiB
};

// One image made ready for any number of boards: hashed and compressed once,
// then shared by the workers of all ports. Immutable to its users and
// thread-safe; what is computed late (compressed parts for delta writes) is
// computed once, under a lock.
class PreparedImage {
 public:
  // `bytes` has 1 byte to 64 MiB. Compresses at once what every first write needs.
  explicit PreparedImage(std::vector<uint8_t> bytes);
  PreparedImage(const PreparedImage&) = delete;
  PreparedImage& operator=(const PreparedImage&) = delete;

  // Size of the image as given, in bytes.
  uint32_t size() const { return size_; }
  // The image followed by 0xFF up to a multiple of four: what loaders can write and hash. The
  // padding equals erased flash.
  absl::Span<const uint8_t> padded() const { return bytes_; }
  // Where the trailing sectors that hold nothing but 0xFF begin: a multiple of the sector size, or
  // the padded size. 0 for an image without content.
  uint32_t content_end() const { return content_end_; }
  // MD5 of the padded image.
  const base::Md5Digest& md5() const { return md5_; }
  base::Md5Digest Md5Of(uint32_t begin, uint32_t end) const;

  // The compressed bytes [begin, end) of the padded image. Kept for the next caller.
  std::shared_ptr<const DeflateStream> Compressed(uint32_t begin, uint32_t end) const;

 private:
  uint32_t size_;
  std::vector<uint8_t> bytes_;
  uint32_t content_end_;
  base::Md5Digest md5_;
  std::shared_ptr<const DeflateStream> content_;  // [0, content_end_); null without content
  mutable absl::Mutex mutex_;
  mutable std::map<std::pair<uint32_t, uint32_t>, std::shared_ptr<const DeflateStream>> parts_
      ABSL_GUARDED_BY(mutex_);
};

// Makes a prepared image of `bytes` (1 byte to 64 MiB).
std::shared_ptr<const PreparedImage> PrepareImage(std::vector<uint8_t> bytes);

// MD5 of `size` bytes of erased flash.
base::Md5Digest BlankMd5(uint32_t size);

// One image at its place in flash.
struct FlashRegion {
  std::string label;    // for progress and errors: "app"
  uint32_t offset = 0;  // multiple of 4096
  std::shared_ptr<const PreparedImage> image;
};

// What a deployment puts on a board: regions in ascending order without
// overlap.
using FlashPlan = std::vector<FlashRegion>;

}  // namespace kiln::esp

#endif  // KILN_DAEMON_ESP_PREPARED_IMAGE_H_
