#include "daemon/firmware/build/build_cache.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "daemon/firmware/bundle_manifest.h"

namespace kiln::firmware {
namespace {

constexpr uint32_t kFolderMode = 0700;
constexpr uint32_t kFileMode = 0600;
constexpr size_t kDigestBytes = 64;

}  // namespace

std::string BuildCache::PathOf(const BuildInputs& inputs) const {
  const std::string all = absl::StrCat("kiln build 1\n", inputs.template_sha256, "\n",
                                       inputs.values_sha256, "\n", inputs.tools);
  return absl::StrCat(directory_, "/", base::HexOf(base::Sha256(base::AsBytes(all))));
}

absl::StatusOr<Bundle> BuildCache::Find(const BuildInputs& inputs) const {
  ASSIGN_OR_RETURN(const std::string id, files_.ReadFile(PathOf(inputs), kDigestBytes));
  if (!IsDigestText(id)) return absl::NotFoundError("damaged");
  ASSIGN_OR_RETURN(Bundle bundle, bundles_.Get(id));
  if (bundle.retired) return absl::NotFoundError("retired");
  return bundle;
}

void BuildCache::Remember(const BuildInputs& inputs, const std::string& bundle_id) {
  if (!files_.CreateDirectories(directory_, kFolderMode).ok()) return;
  files_
      .WriteFileAtomically(PathOf(inputs), bundle_id, base::FileSystem::IfExists::kReplace,
                           kFileMode)
      .IgnoreError();
}

}  // namespace kiln::firmware
