#ifndef KILN_DAEMON_PIPELINE_IMAGE_CACHE_H_
#define KILN_DAEMON_PIPELINE_IMAGE_CACHE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/esp/prepared_image.h"

namespace kiln::pipeline {

// Prepared images by content, so that four boards with the same bundle share one read and one
// compression. Images in use stay shared for as long as anybody uses them; beyond that the most
// recently used ones are kept up to a bound. Owned by the scheduler, used by all workers.
class ImageCache {
 public:
  // `kept_bytes`: how much image data (uncompressed) is kept while nobody uses it.
  explicit ImageCache(uint64_t kept_bytes) : kept_bytes_(kept_bytes) {}
  ImageCache(const ImageCache&) = delete;
  ImageCache& operator=(const ImageCache&) = delete;

  using Image = std::shared_ptr<const esp::PreparedImage>;
  using Load = absl::FunctionRef<absl::StatusOr<std::vector<uint8_t>>()>;

  // The image called `key` (which must name its content). `load` runs, without any lock held, when
  // it is not there; callers that come meanwhile wait for it. A failed load is not remembered.
  absl::StatusOr<Image> Get(const std::string& key, Load load);

 private:
  struct Entry {
    bool loading = false;
    std::weak_ptr<const esp::PreparedImage> image;
  };
  struct Kept {
    std::string key;
    Image image;
    uint64_t bytes;
  };

  void Keep(const std::string& key, const Image& image, uint64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t kept_bytes_;
  absl::Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::list<Kept> kept_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  uint64_t kept_now_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_IMAGE_CACHE_H_
