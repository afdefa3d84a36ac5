#include "daemon/esp/prepared_image.h"

#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/digest.h"

namespace kiln::esp {
namespace {

// libdeflate's best; about 0.2 s per MiB of code.
constexpr int kSharedLevel = 12;
// Above this size the best level takes seconds for a few per mille.
constexpr size_t kBestLevelLimit = size_t{4} * 1024 * 1024;
constexpr int kFastLevel = 9;
// Parts are compressed while a board waits.
constexpr int kPartLevel = 9;
// A hundred boards that differ each in their own place must not fill the memory.
constexpr size_t kMaxKeptParts = 64;
constexpr size_t kIndexStep = 1024;
constexpr uint8_t kErased = 0xFF;

uint32_t ContentEnd(absl::Span<const uint8_t> bytes) {
  size_t end = bytes.size();
  while (end > 0 && bytes[end - 1] == kErased) --end;
  const size_t sectors = (end + kFlashSectorBytes - 1) / kFlashSectorBytes;
  return static_cast<uint32_t>(std::min(sectors * kFlashSectorBytes, bytes.size()));
}

// How many bytes each further KiB of `stream` inflates to, as a running sum.
std::vector<uint32_t> IndexOf(absl::Span<const uint8_t> stream) {
  std::vector<uint32_t> index = {0};
  z_stream inflater = {};
  if (inflateInit(&inflater) != Z_OK) return index;
  std::array<uint8_t, size_t{32} * 1024> sink;
  for (size_t at = 0; at + kIndexStep <= stream.size(); at += kIndexStep) {
    inflater.next_in = const_cast<uint8_t*>(stream.data() + at);
    inflater.avail_in = kIndexStep;
    do {
      inflater.next_out = sink.data();
      inflater.avail_out = sink.size();
      const int result = inflate(&inflater, Z_NO_FLUSH);
      if (result != Z_OK) break;
    } while (inflater.avail_in > 0 || inflater.avail_out == 0);
    index.push_back(static_cast<uint32_t>(inflater.total_out));
  }
  inflateEnd(&inflater);
  return index;
}

}  // namespace

DeflateStream::DeflateStream(absl::Span<const uint8_t> plain, int level)
    : plain_bytes_(static_cast<uint32_t>(plain.size())) {
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> compressor(
      libdeflate_alloc_compressor(level), &libdeflate_free_compressor);
  if (compressor == nullptr) throw std::bad_alloc();
  bytes_.resize(libdeflate_zlib_compress_bound(compressor.get(), plain.size()));
  // The bound is never too small, so the result is never 0.
  bytes_.resize(libdeflate_zlib_compress(compressor.get(), plain.data(), plain.size(),
                                         bytes_.data(), bytes_.size()));
  bytes_.shrink_to_fit();
  plain_after_kib_ = IndexOf(bytes_);
}

uint32_t DeflateStream::PlainBytesAfter(size_t sent_bytes) const {
  if (sent_bytes >= bytes_.size()) return plain_bytes_;
  return plain_after_kib_[std::min(sent_bytes / kIndexStep, plain_after_kib_.size() - 1)];
}

PreparedImage::PreparedImage(std::vector<uint8_t> bytes)
    : size_(static_cast<uint32_t>(bytes.size())), bytes_(std::move(bytes)) {
  bytes_.resize((bytes_.size() + 3) / 4 * 4, kErased);
  content_end_ = ContentEnd(bytes_);
  md5_ = base::Md5(bytes_);
  if (content_end_ > 0) {
    content_ = std::make_shared<DeflateStream>(
        absl::MakeConstSpan(bytes_).subspan(0, content_end_),
        content_end_ <= kBestLevelLimit ? kSharedLevel : kFastLevel);
  }
}

base::Md5Digest PreparedImage::Md5Of(uint32_t begin, uint32_t end) const {
  return base::Md5(absl::MakeConstSpan(bytes_).subspan(begin, end - begin));
}

std::shared_ptr<const DeflateStream> PreparedImage::Compressed(uint32_t begin, uint32_t end) const {
  if (begin == 0 && end == content_end_ && content_ != nullptr) return content_;
  // Held while compressing: a second board that wants the same part waits for it instead of
  // doing the work again.
  absl::MutexLock lock(&mutex_);
  const auto found = parts_.find({begin, end});
  if (found != parts_.end()) return found->second;
  auto part = std::make_shared<const DeflateStream>(
      absl::MakeConstSpan(bytes_).subspan(begin, end - begin), kPartLevel);
  if (parts_.size() >= kMaxKeptParts) parts_.erase(parts_.begin());
  parts_[{begin, end}] = part;
  return part;
}

std::shared_ptr<const PreparedImage> PrepareImage(std::vector<uint8_t> bytes) {
  return std::make_shared<const PreparedImage>(std::move(bytes));
}

base::Md5Digest BlankMd5(uint32_t size) { return base::Md5(std::vector<uint8_t>(size, kErased)); }

}  // namespace kiln::esp
