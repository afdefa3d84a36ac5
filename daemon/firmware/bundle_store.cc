#include "daemon/firmware/bundle_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "daemon/firmware/bundle.h"
#include "daemon/firmware/bundle_checks.h"
#include "daemon/firmware/bundle_manifest.h"
#include "daemon/firmware/importer.h"
#include "daemon/firmware/package.h"
#include "errors/error.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;

constexpr uint32_t kFolderMode = 0750;
constexpr uint32_t kFileMode = 0640;
constexpr size_t kMinPrefix = 8;
// The name in every application built with Arduino's precompiled libraries, whoever wrote it.
constexpr absl::string_view kArduinoProject = "arduino-lib-builder";

absl::Status Typed(const absl::Status& status) {
  return errors::TypedAs(
      absl::IsResourceExhausted(status) ? ErrorCode::kDiskFull : ErrorCode::kInternal, status);
}

// "builds/shop.zip" is "shop".
std::string Stem(absl::string_view file_name) {
  std::string name = BaseName(file_name);
  const size_t dot = name.rfind('.');
  if (dot != std::string::npos && dot > 0) name.resize(dot);
  return CleanText(name);
}

std::string FirstNonEmpty(std::initializer_list<absl::string_view> texts) {
  for (const absl::string_view text : texts) {
    if (!text.empty()) return CleanText(text);
  }
  return "";
}

Bundle MakeBundle(const Provenance& provenance, const ImportRequest& request,
                  const ImportedFirmware& imported, const CheckedFirmware& checked,
                  absl::Time now) {
  Bundle bundle;
  bundle.chip = checked.chip;
  bundle.partitions = checked.partitions;
  for (const ImportedImage& image : checked.images) {
    bundle.images.push_back({.label = image.label,
                             .offset = image.offset,
                             .size = static_cast<uint32_t>(image.bytes.size()),
                             .sha256 = base::HexOf(base::Sha256(image.bytes))});
  }
  bundle.nvs_values = request.nvs_values;
  bundle.id = BundleId(bundle);
  bundle.provenance = provenance;
  bundle.provenance.facts.insert(imported.facts.begin(), imported.facts.end());
  std::string project;
  std::string version;
  if (checked.app.has_value()) {
    const esp::AppDescription& app = *checked.app;
    const std::pair<const char*, const std::string*> facts[] = {
        {"app_project", &app.project_name},
        {"app_version", &app.version},
        {"app_build_date", &app.date},
        {"app_build_time", &app.time},
        {"app_idf_version", &app.idf_version}};
    for (const auto& [name, text] : facts) {
      if (!text->empty()) bundle.provenance.facts[name] = *text;
    }
    if (app.project_name != kArduinoProject) {
      project = app.project_name;
      version = app.version;
    }
  }
  bundle.title = FirstNonEmpty({request.title, imported.title, project, Stem(request.file_name)});
  bundle.version = FirstNonEmpty({request.version, imported.version, version});
  bundle.create_time = now;
  return bundle;
}

class DiskBundleStore final : public BundleStore {
 public:
  DiskBundleStore(const std::string& root, base::FileSystem& file_system, base::Clock& clock,
                  const ImportLimits& limits)
      : images_folder_(absl::StrCat(root, "/images")),
        bundles_folder_(absl::StrCat(root, "/bundles")),
        file_system_(file_system),
        clock_(clock),
        limits_(limits) {}

  absl::Status Load() {
    RETURN_IF_ERROR(Typed(file_system_.CreateDirectories(images_folder_, kFolderMode)));
    RETURN_IF_ERROR(Typed(file_system_.CreateDirectories(bundles_folder_, kFolderMode)));
    auto names = file_system_.ListDirectory(bundles_folder_);
    if (!names.ok()) return Typed(names.status());
    absl::MutexLock lock(&mutex_);
    for (const std::string& name : *names) {
      // A crash may leave a temporary file, which never ends like this.
      if (!absl::EndsWith(name, ".json")) continue;
      const std::string path = absl::StrCat(bundles_folder_, "/", name);
      auto text = file_system_.ReadFile(path, kMaxManifestBytes);
      auto bundle = text.ok() ? DecodeManifest(*text) : absl::StatusOr<Bundle>(text.status());
      if (bundle.ok() && absl::StrCat(bundle->id, ".json") == name) {
        std::string id = bundle->id;
        bundles_.emplace(std::move(id), *std::move(bundle));
      } else {
        damaged_.insert(path);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ImportOutcome> Import(absl::string_view package_bytes,
                                       const ImportRequest& request, bool validate_only) override {
    ASSIGN_OR_RETURN(const Package package,
                     Package::Open(package_bytes, request.file_name, limits_));
    ASSIGN_OR_RETURN(const ImportedFirmware imported, ImportPackage(package, request));
    const Provenance provenance = {
        .source_kind = imported.source_kind,
        .source_name = CleanText(BaseName(request.file_name)),
        .source_sha256 = base::HexOf(base::Sha256(base::AsBytes(package_bytes))),
        .facts = {}};
    return ImportFirmware(imported, request, provenance, validate_only);
  }

  absl::StatusOr<ImportOutcome> ImportBuilt(const Package& package, const ImportRequest& request,
                                            const Provenance& provenance) override {
    ASSIGN_OR_RETURN(const ImportedFirmware imported, ImportPackage(package, request));
    return ImportFirmware(imported, request, provenance, /*validate_only=*/false);
  }

  absl::StatusOr<ImportOutcome> Derive(absl::string_view id, const ImportRequest& request,
                                       const Provenance& provenance) override {
    ASSIGN_OR_RETURN(Bundle bundle, Get(id));
    if (bundle.retired) {
      return MakeError(ErrorCode::kBundleRetired, absl::StrCat("bundle ", bundle.id));
    }
    bundle.nvs_values = request.nvs_values;
    bundle.id = BundleId(bundle);
    bundle.title = FirstNonEmpty({request.title, bundle.title});
    bundle.version = FirstNonEmpty({request.version, bundle.version});
    std::map<std::string, std::string> facts = provenance.facts;
    facts.insert(bundle.provenance.facts.begin(), bundle.provenance.facts.end());
    bundle.provenance = provenance;
    bundle.provenance.facts = std::move(facts);
    bundle.create_time = clock_.Now();
    return Add(std::move(bundle), /*images=*/{}, /*validate_only=*/false);
  }

  absl::StatusOr<Bundle> Get(absl::string_view id) const override {
    absl::MutexLock lock(&mutex_);
    return Find(id);
  }

  std::vector<Bundle> List(bool include_retired) const override {
    std::vector<Bundle> list;
    {
      absl::MutexLock lock(&mutex_);
      for (const auto& [id, bundle] : bundles_) {
        if (include_retired || !bundle.retired) list.push_back(bundle);
      }
    }
    std::stable_sort(list.begin(), list.end(), [](const Bundle& a, const Bundle& b) {
      return a.create_time > b.create_time;
    });
    return list;
  }

  absl::StatusOr<Bundle> Retire(absl::string_view id) override {
    absl::MutexLock writer(&writer_mutex_);
    ASSIGN_OR_RETURN(Bundle bundle, Get(id));
    if (bundle.retired) return bundle;
    bundle.retired = true;
    RETURN_IF_ERROR(
        Typed(file_system_.WriteFileAtomically(ManifestPath(bundle.id), EncodeManifest(bundle),
                                               base::FileSystem::IfExists::kReplace, kFileMode)));
    absl::MutexLock lock(&mutex_);
    bundles_.insert_or_assign(bundle.id, bundle);
    return bundle;
  }

  absl::StatusOr<std::vector<uint8_t>> LoadImage(const BundleImage& image) const override {
    if (!IsDigestText(image.sha256)) {
      return MakeError(ErrorCode::kBundleDamaged, "the image has no digest");
    }
    const std::string path = ImagePath(image.sha256);
    const auto content = file_system_.ReadFile(path, image.size);
    if (!content.ok()) {
      return MakeError(ErrorCode::kBundleDamaged,
                       absl::StrCat(image.label, ": ", content.status().message()));
    }
    const absl::Span<const uint8_t> bytes = base::AsBytes(*content);
    if (bytes.size() != image.size || base::HexOf(base::Sha256(bytes)) != image.sha256) {
      return MakeError(ErrorCode::kBundleDamaged,
                       absl::StrCat(image.label, ": ", path, " does not match its digest"));
    }
    return std::vector<uint8_t>(bytes.begin(), bytes.end());
  }

  std::vector<std::string> damaged() const override {
    absl::MutexLock lock(&mutex_);
    return {damaged_.begin(), damaged_.end()};
  }

 private:
  absl::StatusOr<ImportOutcome> ImportFirmware(const ImportedFirmware& imported,
                                               const ImportRequest& request,
                                               const Provenance& provenance, bool validate_only) {
    ASSIGN_OR_RETURN(const CheckedFirmware checked, CheckFirmware(imported, request.chip));
    return Add(MakeBundle(provenance, request, imported, checked, clock_.Now()), checked.images,
               validate_only);
  }

  // `images` are those of the bundle, in its order; none when all of them are here.
  absl::StatusOr<ImportOutcome> Add(Bundle bundle, absl::Span<const ImportedImage> images,
                                    bool validate_only) {
    if (!bundle.nvs_values.empty() && bundle.identity_partition() == nullptr) {
      return MakeError(ErrorCode::kBundleInvalid,
                       "there are values for NVS, and the partition table has no NVS partition");
    }
    absl::MutexLock writer(&writer_mutex_);
    if (!validate_only) {
      RETURN_IF_ERROR(Typed(Store(bundle, images)));
    }
    absl::MutexLock lock(&mutex_);
    const auto existing = bundles_.find(bundle.id);
    if (existing != bundles_.end()) return ImportOutcome{existing->second, true};
    if (!validate_only) {
      bundles_.emplace(bundle.id, bundle);
      damaged_.erase(ManifestPath(bundle.id));
    }
    return ImportOutcome{std::move(bundle), false};
  }

  std::string ImagePath(absl::string_view sha256) const {
    return absl::StrCat(images_folder_, "/", sha256);
  }
  std::string ManifestPath(absl::string_view id) const {
    return absl::StrCat(bundles_folder_, "/", id, ".json");
  }

  absl::StatusOr<Bundle> Find(absl::string_view id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::string prefix = absl::AsciiStrToLower(id);
    const std::string shown = CleanText(id, 80);
    if (prefix.size() < kMinPrefix) {
      return MakeError(ErrorCode::kBundleNotFound,
                       absl::StrCat("\"", shown, "\" has fewer than ", kMinPrefix, " digits"));
    }
    const auto first = bundles_.lower_bound(prefix);
    if (first == bundles_.end() || !absl::StartsWith(first->first, prefix)) {
      return MakeError(ErrorCode::kBundleNotFound, absl::StrCat("no bundle \"", shown, "\""));
    }
    const auto second = std::next(first);
    if (second != bundles_.end() && absl::StartsWith(second->first, prefix)) {
      return MakeError(ErrorCode::kBundleNotFound,
                       absl::StrCat("several bundles begin with \"", shown, "\""));
    }
    return first->second;
  }

  // Makes the images durable, then the manifest unless the bundle is there already: importing
  // again repairs images that were lost. What this call has written goes away again when it fails;
  // no other bundle can have come to need it meanwhile, for the writer's lock is held.
  absl::Status Store(const Bundle& bundle, absl::Span<const ImportedImage> images)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_mutex_) {
    std::vector<std::string> written;
    auto remove_written = absl::MakeCleanup([this, &written] {
      for (const std::string& path : written) file_system_.RemoveAll(path).IgnoreError();
    });
    for (size_t i = 0; i < images.size(); ++i) {
      const std::string path = ImagePath(bundle.images[i].sha256);
      const bool existed = file_system_.Exists(path);
      if (existed && LoadImage(bundle.images[i]).ok()) continue;
      if (!existed) written.push_back(path);
      RETURN_IF_ERROR(file_system_.WriteFileAtomically(
          path, base::AsChars(images[i].bytes), base::FileSystem::IfExists::kReplace, kFileMode));
    }
    const std::string manifest = ManifestPath(bundle.id);
    bool known = false;
    bool replaces_damaged = false;
    {
      absl::MutexLock lock(&mutex_);
      known = bundles_.contains(bundle.id);
      replaces_damaged = damaged_.contains(manifest);
    }
    if (!known) {
      absl::Status status = file_system_.WriteFileAtomically(
          manifest, EncodeManifest(bundle), base::FileSystem::IfExists::kReplace, kFileMode);
      if (!status.ok()) {
        // It may be in its place with only the last fsync missing; it must not outlive its images.
        if (replaces_damaged || !file_system_.RemoveAll(manifest).ok()) {
          std::move(remove_written).Cancel();
        }
        return status;
      }
    }
    std::move(remove_written).Cancel();
    return absl::OkStatus();
  }

  const std::string images_folder_;
  const std::string bundles_folder_;
  base::FileSystem& file_system_;
  base::Clock& clock_;
  const ImportLimits limits_;

  // Held over every change on disk, so that changes follow one another.
  absl::Mutex writer_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  std::map<std::string, Bundle> bundles_ ABSL_GUARDED_BY(mutex_);  // by id
  std::set<std::string> damaged_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<BundleStore>> BundleStore::Open(const std::string& root,
                                                               base::FileSystem& file_system,
                                                               base::Clock& clock,
                                                               const ImportLimits& limits) {
  auto store = std::make_unique<DiskBundleStore>(root, file_system, clock, limits);
  RETURN_IF_ERROR(store->Load());
  return std::unique_ptr<BundleStore>(std::move(store));
}

}  // namespace kiln::firmware
