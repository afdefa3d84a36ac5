#include "daemon/pipeline/image_cache.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace kiln::pipeline {

absl::StatusOr<ImageCache::Image> ImageCache::Get(const std::string& key, Load load) {
  {
    absl::MutexLock lock(&mutex_);
    for (;;) {
      Entry& entry = entries_[key];
      if (Image image = entry.image.lock(); image != nullptr) {
        for (auto it = kept_.begin(); it != kept_.end(); ++it) {
          if (it->key != key) continue;
          kept_.splice(kept_.begin(), kept_, it);
          break;
        }
        return image;
      }
      if (!entry.loading) {
        entry.loading = true;
        break;
      }
      // Whoever loads it takes `loading` back in any case. The entry may be gone by then.
      const auto loaded = [this, &key]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        const auto it = entries_.find(key);
        return it == entries_.end() || !it->second.loading;
      };
      mutex_.Await(absl::Condition(&loaded));
    }
  }
  absl::StatusOr<std::vector<uint8_t>> bytes = load();
  Image image;
  uint64_t size = 0;
  if (bytes.ok()) {
    size = bytes->size();
    image = esp::PrepareImage(std::move(*bytes));
  }
  absl::MutexLock lock(&mutex_);
  if (image == nullptr) {
    entries_.erase(key);
    return bytes.status();
  }
  entries_[key] = {.loading = false, .image = image};
  Keep(key, image, size);
  return image;
}

void ImageCache::Keep(const std::string& key, const Image& image, uint64_t bytes) {
  kept_.push_front({key, image, bytes});
  kept_now_ += bytes;
  while (kept_now_ > kept_bytes_ && !kept_.empty()) {
    kept_now_ -= kept_.back().bytes;
    kept_.pop_back();
  }
  // Entries whose image nobody holds any more.
  for (auto it = entries_.begin(); it != entries_.end();) {
    it = !it->second.loading && it->second.image.expired() ? entries_.erase(it) : std::next(it);
  }
}

}  // namespace kiln::pipeline
