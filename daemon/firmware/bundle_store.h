#ifndef KILN_DAEMON_FIRMWARE_BUNDLE_STORE_H_
#define KILN_DAEMON_FIRMWARE_BUNDLE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "daemon/esp/image/nvs_value.h"
#include "daemon/firmware/bundle.h"

namespace kiln::firmware {

struct ImportLimits {
  uint64_t max_package_bytes = uint64_t{64} << 20;
  uint64_t max_unpacked_bytes = uint64_t{128} << 20;
  int max_files = 2000;
};

// What an importer is told beside the bytes.
struct ImportRequest {
  std::string file_name;
  std::string title;    // empty: from the package
  std::string version;  // empty: from the package
  std::string chip;     // empty: from the images
  // What every board is to get in its NVS partition; BundleInvalid where the bundle has none.
  std::vector<esp::NvsValue> nvs_values;
};

class Package;

struct ImportOutcome {
  Bundle bundle;
  bool already_existed = false;
};

// The bundles of a station on disk: <root>/images/<sha256>,
// <root>/bundles/<id>.json. A bundle becomes visible by the rename of its
// manifest, after all its images are durable. Thread-safe. Created once by
// main, used by the API and by the workers.
class BundleStore {
 public:
  // Makes the folders and reads every manifest; a manifest that does not parse
  // is reported in `damaged()` and left alone.
  static absl::StatusOr<std::unique_ptr<BundleStore>> Open(const std::string& root,
                                                           base::FileSystem& file_system,
                                                           base::Clock& clock,
                                                           const ImportLimits& limits);
  virtual ~BundleStore() = default;

  // Checks everything in `package` (see importer.h); BundleInvalid names file
  // and offset. Nothing is kept on failure, or when `validate_only`.
  virtual absl::StatusOr<ImportOutcome> Import(absl::string_view package,
                                               const ImportRequest& request,
                                               bool validate_only) = 0;
  // The same for what was built here: `provenance` says from what; its facts come in addition to
  // those that the images tell.
  virtual absl::StatusOr<ImportOutcome> ImportBuilt(const Package& package,
                                                    const ImportRequest& request,
                                                    const Provenance& provenance) = 0;
  // The images of a bundle that is here, with the NVS values of `request` instead of its own. Facts
  // come in addition to those of the bundle. BundleNotFound, BundleRetired.
  virtual absl::StatusOr<ImportOutcome> Derive(absl::string_view id, const ImportRequest& request,
                                               const Provenance& provenance) = 0;
  // By id or unique prefix of at least 8 digits. BundleNotFound.
  virtual absl::StatusOr<Bundle> Get(absl::string_view id) const = 0;
  // Newest first.
  virtual std::vector<Bundle> List(bool include_retired) const = 0;
  virtual absl::StatusOr<Bundle> Retire(absl::string_view id) = 0;
  // The bytes of one image, checked against its digest: BundleDamaged when they
  // differ.
  virtual absl::StatusOr<std::vector<uint8_t>> LoadImage(const BundleImage& image) const = 0;
  // Files that should be manifests and are not.
  virtual std::vector<std::string> damaged() const = 0;
};

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUNDLE_STORE_H_
