#ifndef KILN_DAEMON_API_TESTING_FAKE_BUNDLE_STORE_H_
#define KILN_DAEMON_API_TESTING_FAKE_BUNDLE_STORE_H_

#include <algorithm>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "daemon/firmware/bundle_store.h"
#include "errors/error.h"

namespace kiln::api::testing {

// Bundles in memory, named by the digest of whatever was imported; "bad" is refused. Thread-safe.
class FakeBundleStore final : public firmware::BundleStore {
 public:
  absl::StatusOr<firmware::ImportOutcome> Import(absl::string_view package,
                                                 const firmware::ImportRequest& request,
                                                 bool validate_only) override {
    if (package == "bad") {
      return errors::MakeError(errors::ErrorCode::kBundleInvalid, "app.bin, offset 0: no header");
    }
    firmware::Bundle bundle;
    bundle.id = base::HexOf(base::Sha256(base::AsBytes(package)));
    bundle.title = request.title;
    bundle.chip = esp::Chip::kEsp32C3;
    bundle.partitions = {{"nvs", 1, 2, 0x9000, 0x6000, 0}};
    bundle.create_time = absl::UnixEpoch() + absl::Hours(1);
    absl::MutexLock lock(&mutex_);
    for (const firmware::Bundle& known : bundles_) {
      if (known.id == bundle.id) return firmware::ImportOutcome{known, true};
    }
    if (!validate_only) bundles_.insert(bundles_.begin(), bundle);
    return firmware::ImportOutcome{bundle, false};
  }
  absl::StatusOr<firmware::ImportOutcome> ImportBuilt(const firmware::Package&,
                                                      const firmware::ImportRequest&,
                                                      const firmware::Provenance&) override {
    return absl::UnimplementedError("nothing is built here");
  }
  absl::StatusOr<firmware::ImportOutcome> Derive(absl::string_view, const firmware::ImportRequest&,
                                                 const firmware::Provenance&) override {
    return absl::UnimplementedError("nothing is built here");
  }
  absl::StatusOr<firmware::Bundle> Get(absl::string_view id) const override {
    absl::MutexLock lock(&mutex_);
    for (const firmware::Bundle& bundle : bundles_) {
      if (absl::StartsWith(bundle.id, id)) return bundle;
    }
    return errors::MakeError(errors::ErrorCode::kBundleNotFound, id);
  }
  std::vector<firmware::Bundle> List(bool include_retired) const override {
    absl::MutexLock lock(&mutex_);
    std::vector<firmware::Bundle> listed;
    for (const firmware::Bundle& bundle : bundles_) {
      if (include_retired || !bundle.retired) listed.push_back(bundle);
    }
    return listed;
  }
  absl::StatusOr<firmware::Bundle> Retire(absl::string_view id) override {
    absl::MutexLock lock(&mutex_);
    for (firmware::Bundle& bundle : bundles_) {
      if (bundle.id != id) continue;
      bundle.retired = true;
      return bundle;
    }
    return errors::MakeError(errors::ErrorCode::kBundleNotFound, id);
  }
  absl::StatusOr<std::vector<uint8_t>> LoadImage(const firmware::BundleImage&) const override {
    return absl::UnimplementedError("images are not kept");
  }
  std::vector<std::string> damaged() const override { return {}; }

 private:
  mutable absl::Mutex mutex_;
  std::vector<firmware::Bundle> bundles_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kiln::api::testing

#endif  // KILN_DAEMON_API_TESTING_FAKE_BUNDLE_STORE_H_
