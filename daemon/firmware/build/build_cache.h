#ifndef KILN_DAEMON_FIRMWARE_BUILD_BUILD_CACHE_H_
#define KILN_DAEMON_FIRMWARE_BUILD_BUILD_CACHE_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "daemon/firmware/bundle_store.h"

namespace kiln::firmware {

// What the images of a build depend on.
struct BuildInputs {
  std::string template_sha256;
  std::string values_sha256;  // of those that are compiled in
  std::string tools;          // with their versions
};

// Remembers on disk which inputs gave which bundle: one file each, which may be removed at any
// time. Owned by the builder; thread-safe.
class BuildCache {
 public:
  // Both must outlive the cache. `directory` is made when there is something to remember.
  BuildCache(std::string directory, const BundleStore& bundles, base::FileSystem& files)
      : directory_(std::move(directory)), bundles_(bundles), files_(files) {}

  // The bundle of the same inputs; NOT_FOUND also when it is gone or retired since.
  absl::StatusOr<Bundle> Find(const BuildInputs& inputs) const;
  // A build that cannot be remembered is built again; nothing is lost.
  void Remember(const BuildInputs& inputs, const std::string& bundle_id);

 private:
  std::string PathOf(const BuildInputs& inputs) const;

  const std::string directory_;
  const BundleStore& bundles_;
  base::FileSystem& files_;
};

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUILD_BUILD_CACHE_H_
