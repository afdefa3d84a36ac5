#include "daemon/firmware/build/builder.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
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
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "daemon/firmware/build/build_cache.h"
#include "daemon/firmware/build/template.h"
#include "daemon/firmware/build/value_header.h"
#include "daemon/firmware/package.h"
#include "daemon/firmware/package_json.h"
#include "errors/error.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using Reason = ChildEnd::Reason;

constexpr uint32_t kPrivateFolder = 0700;
constexpr uint32_t kFileMode = 0600;
// The temp folder may be one that others use, too.
constexpr absl::string_view kFolderPrefix = "kiln-build-";
// A template unpacked.
constexpr ImportLimits kTemplateLimits = {
    .max_package_bytes = Builder::kMaxTemplateBytes,
    .max_unpacked_bytes = uint64_t{16} << 20,
    .max_files = 500,
};
// What PlatformIO leaves for an import; anything else in its folder is not looked at.
constexpr absl::string_view kImages[] = {"bootloader.bin", "partitions.bin", "firmware.bin",
                                         "boot_app0.bin",  "littlefs.bin",   "spiffs.bin",
                                         "fatfs.bin",      "idedata.json"};
constexpr size_t kMaxImageBytes = size_t{32} << 20;
constexpr size_t kMaxDescriptionBytes = size_t{1} << 20;
// The end of the output that an error shows.
constexpr size_t kShownLines = 12;
constexpr size_t kShownLineBytes = 200;
constexpr absl::Duration kVersionTimeout = absl::Minutes(1);

// Passes lines on, cleaned, and keeps the last ones.
class Tail {
 public:
  explicit Tail(BuildListener* listener) : listener_(listener) {}
  void Take(absl::string_view line) {
    const std::string clean = CleanText(line, ChildRunner::kMaxLineBytes);
    if (absl::StripAsciiWhitespace(clean).empty()) return;
    if (listener_ != nullptr) listener_->OnLog(clean);
    last_.push_back(CleanText(clean, kShownLineBytes));
    if (last_.size() > kShownLines) last_.pop_front();
  }
  std::string Text() const { return absl::StrJoin(last_, "\n"); }

 private:
  BuildListener* const listener_;
  std::deque<std::string> last_;
};

class PlatformioBuilder final : public Builder {
 public:
  PlatformioBuilder(const BuilderOptions& options, ChildRunner& children, BundleStore& bundles,
                    base::FileSystem& files)
      : options_(options),
        children_(children),
        bundles_(bundles),
        files_(files),
        cache_(options.cache_directory, bundles, files) {}

  void RemoveLeftovers() {
    const auto names = files_.ListDirectory(options_.temp_directory);
    if (!names.ok()) return;
    for (const std::string& name : *names) {
      if (absl::StartsWith(name, kFolderPrefix)) {
        files_.RemoveAll(absl::StrCat(options_.temp_directory, "/", name)).IgnoreError();
      }
    }
  }

  absl::StatusOr<BuildOutcome> Build(const BuildRequest& request, BuildListener& listener,
                                     const base::Cancellation& cancellation) override {
    listener.OnStage(BuildStage::kPrepare);
    auto opened = Package::Open(request.package, "template.zip", kTemplateLimits);
    if (!opened.ok() || !opened->is_zip()) {
      return MakeError(ErrorCode::kTemplateInvalid,
                       opened.ok() ? "not a zip" : std::string(opened.status().message()));
    }
    ASSIGN_OR_RETURN(const Template project, ReadTemplate(*opened));
    ASSIGN_OR_RETURN(
        const std::vector<TemplateValue> values,
        ChooseValues(project, request.values,
                     request.base_bundle.empty() ? Purpose::kBuild : Purpose::kFinishedBundle));
    Order order;
    order.import.file_name = request.name.empty() ? project.title : request.name;
    order.import.title = request.title.empty() ? project.title : request.title;
    order.import.version = request.version.empty() ? project.version : request.version;
    order.import.nvs_values = NvsValuesOf(project, values);
    order.provenance = {.source_kind = "template",
                        .source_name = CleanText(BaseName(order.import.file_name)),
                        .source_sha256 = project.sha256,
                        .facts = {{"values_sha256", DigestOf(values)}}};
    if (!request.base_bundle.empty()) {
      ASSIGN_OR_RETURN(const Bundle base, bundles_.Get(request.base_bundle));
      order.provenance.facts["base_bundle"] = base.id;
      return Derive(base.id, order);
    }

    if (options_.platformio.empty()) {
      return MakeError(
          ErrorCode::kBuilderUnavailable,
          "[builder] platformio is not set; values for NVS can be put on a bundle that "
          "is there");
    }
    if (project.environment.empty()) {
      return MakeError(ErrorCode::kTemplateInvalid,
                       "there is no platformio.ini at the top, so nothing can be built; name the "
                       "bundle that the values are for");
    }
    ASSIGN_OR_RETURN(const std::string version, PlatformioVersion(cancellation));
    const std::vector<TemplateValue> compiled = ValuesFor(TemplateVariable::Place::kHeader, values);
    const BuildInputs inputs = {.template_sha256 = project.sha256,
                                .values_sha256 = DigestOf(compiled),
                                .tools = absl::StrCat(version, InstalledTools())};
    order.provenance.facts["platformio"] = version;
    order.provenance.facts["tools"] = CleanText(InstalledTools(), 1000);
    order.provenance.facts["environment"] = project.environment;
    if (request.use_cache) {
      if (const auto cached = cache_.Find(inputs); cached.ok()) {
        return Derive(cached->id, order);
      }
    }

    ASSIGN_OR_RETURN(const std::string folder, MakeFolder());
    const auto remove_folder =
        absl::MakeCleanup([this, &folder] { files_.RemoveAll(folder).IgnoreError(); });
    RETURN_IF_ERROR(Unpack(*opened, project, compiled, absl::StrCat(folder, "/project")));
    listener.OnStage(BuildStage::kBuild);
    RETURN_IF_ERROR(RunPlatformio(folder, project.environment, listener, cancellation));
    RETURN_IF_ERROR(cancellation.Check());
    listener.OnStage(BuildStage::kImport);
    ASSIGN_OR_RETURN(const Package built,
                     Collect(absl::StrCat(folder, "/project/.pio/build/", project.environment)));
    ASSIGN_OR_RETURN(ImportOutcome outcome,
                     bundles_.ImportBuilt(built, order.import, order.provenance));
    cache_.Remember(inputs, outcome.bundle.id);
    return BuildOutcome{std::move(outcome.bundle), outcome.already_existed, false};
  }

  absl::Status CheckHealth(std::string& message) override {
    if (options_.platformio.empty()) {
      message = "Building from templates is switched off.";
      return absl::OkStatus();
    }
    if (!files_.Exists(options_.platformio)) {
      return absl::NotFoundError(absl::StrCat(
          options_.platformio,
          " is not there; install PlatformIO (python3 -m venv FOLDER && FOLDER/bin/pip install "
          "platformio) and name FOLDER/bin/pio in [builder]"));
    }
    if (options_.sandbox) {
      RETURN_IF_ERROR(children_.CheckSandbox())
          << "allow user namespaces to the service, or set sandbox = false in [builder]";
    }
    const std::string tools = InstalledTools();
    if (!options_.network && tools.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "no platform is installed in ", options_.core_directory,
          "; run PLATFORMIO_CORE_DIR=", options_.core_directory, " ", options_.platformio,
          " pkg install -g -p espressif32, or set network = true in [builder]"));
    }
    message = absl::StrCat("Templates are built by ", options_.platformio,
                           tools.empty() ? "" : absl::StrCat(" with", tools), ".");
    return absl::OkStatus();
  }

 private:
  // What the bundle is to be, whoever makes its images.
  struct Order {
    ImportRequest import;
    Provenance provenance;
  };

  absl::StatusOr<BuildOutcome> Derive(const std::string& bundle_id, const Order& order) {
    ASSIGN_OR_RETURN(ImportOutcome outcome,
                     bundles_.Derive(bundle_id, order.import, order.provenance));
    return BuildOutcome{std::move(outcome.bundle), outcome.already_existed, /*from_cache=*/true};
  }

  ChildSpec SpecFor(const std::string& folder) const {
    ChildSpec spec;
    spec.environment = {
        absl::StrCat("PATH=", options_.path),
        absl::StrCat("HOME=", folder),
        absl::StrCat("TMPDIR=", folder),
        absl::StrCat("PLATFORMIO_CORE_DIR=", options_.core_directory),
        "PLATFORMIO_NO_ANSI=true",
        "PLATFORMIO_DISABLE_PROGRESSBAR=true",
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY=No",
        "PLATFORMIO_SETTING_CHECK_PLATFORMIO_INTERVAL=36500",
        "PLATFORMIO_SETTING_ENABLE_PROXY_STRICT_SSL=Yes",
        // No questions, and no dates in the images: the same inputs make the same bytes.
        "CI=true",
        "SOURCE_DATE_EPOCH=0",
        "LANG=C.UTF-8",
        "PYTHONDONTWRITEBYTECODE=1",
    };
    spec.directory = folder;
    spec.timeout = options_.timeout;
    spec.max_memory_bytes = options_.max_memory_bytes;
    spec.network = options_.network;
    spec.sandbox = options_.sandbox;
    return spec;
  }

  absl::StatusOr<ChildEnd> Run(const ChildSpec& spec, Tail& tail,
                               const base::Cancellation& cancellation) {
    auto end =
        children_.Run(spec, [&tail](absl::string_view line) { tail.Take(line); }, cancellation);
    if (!end.ok()) return errors::TypedAs(ErrorCode::kBuilderUnavailable, end.status());
    return end;
  }

  // Asked once: a station that gets another PlatformIO is started again.
  absl::StatusOr<std::string> PlatformioVersion(const base::Cancellation& cancellation) {
    {
      absl::MutexLock lock(&mutex_);
      if (!version_.empty()) return version_;
    }
    ChildSpec spec = SpecFor("/");
    spec.arguments = {options_.platformio, "--version"};
    spec.timeout = kVersionTimeout;
    Tail tail(nullptr);
    ASSIGN_OR_RETURN(const ChildEnd end, Run(spec, tail, cancellation));
    RETURN_IF_ERROR(cancellation.Check());
    if (end.reason != Reason::kExited || end.code != 0) {
      return MakeError(ErrorCode::kBuilderUnavailable,
                       absl::StrCat(options_.platformio, " --version: ", tail.Text()));
    }
    absl::MutexLock lock(&mutex_);
    version_ = CleanText(tail.Text());
    return version_;
  }

  // " espressif32 6.9.0, toolchain-riscv32-esp 8.4.0": what the core directory holds.
  std::string InstalledTools() const {
    std::vector<std::string> tools;
    for (const auto& [folder, file] :
         {std::pair("platforms", "platform.json"), std::pair("packages", "package.json")}) {
      const std::string path = absl::StrCat(options_.core_directory, "/", folder);
      const auto names = files_.ListDirectory(path);
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        const auto text =
            files_.ReadFile(absl::StrCat(path, "/", name, "/", file), kMaxDescriptionBytes);
        const auto json = text.ok() ? ParseJsonObject(*text, file)
                                    : absl::StatusOr<nlohmann::json>(text.status());
        if (!json.ok()) continue;
        tools.push_back(CleanText(
            absl::StrCat(" ", FindText(*json, "name"), " ", FindText(*json, "version")), 100));
      }
    }
    return absl::StrJoin(tools, ",");
  }

  absl::StatusOr<std::string> MakeFolder() {
    int number = 0;
    {
      absl::MutexLock lock(&mutex_);
      number = ++builds_;
    }
    std::string folder = absl::StrCat(options_.temp_directory, "/", kFolderPrefix, number);
    RETURN_IF_ERROR(files_.RemoveAll(folder));
    RETURN_IF_ERROR(errors::TypedAs(ErrorCode::kBuilderUnavailable,
                                    files_.CreateDirectories(folder, kPrivateFolder)));
    return folder;
  }

  absl::Status Unpack(const Package& package, const Template& project,
                      const std::vector<TemplateValue>& values, const std::string& folder) {
    std::map<std::string, std::string> contents = package.files();
    for (const std::string& header : project.headers) {
      contents[header] = RenderValueHeader(values);
    }
    for (const auto& [path, content] : contents) {
      const std::string place = JoinPath(folder, path);
      RETURN_IF_ERROR(errors::TypedAs(ErrorCode::kBuilderUnavailable,
                                      files_.CreateDirectories(FolderOf(place), kPrivateFolder)));
      RETURN_IF_ERROR(
          errors::TypedAs(ErrorCode::kBuilderUnavailable,
                          files_.WriteFileAtomically(
                              place, content, base::FileSystem::IfExists::kFail, kFileMode)));
    }
    return absl::OkStatus();
  }

  absl::Status RunPlatformio(const std::string& folder, const std::string& environment,
                             BuildListener& listener, const base::Cancellation& cancellation) {
    ChildSpec spec = SpecFor(folder);
    spec.arguments = {options_.platformio, "run",
                      "--project-dir",     absl::StrCat(folder, "/project"),
                      "--environment",     environment};
    Tail tail(&listener);
    ASSIGN_OR_RETURN(const ChildEnd end, Run(spec, tail, cancellation));
    switch (end.reason) {
      case Reason::kExited:
        if (end.code == 0) return absl::OkStatus();
        return MakeError(ErrorCode::kBuildFailed, tail.Text());
      case Reason::kSignal:
        return MakeError(ErrorCode::kBuildFailed,
                         absl::StrCat("ended by signal ", end.code, "\n", tail.Text()));
      case Reason::kTimedOut:
        return MakeError(
            ErrorCode::kBuildTimedOut,
            absl::StrCat("not done after ", absl::FormatDuration(spec.timeout), "\n", tail.Text()));
      case Reason::kTooMuchOutput:
        return MakeError(
            ErrorCode::kBuildFailed,
            absl::StrCat("it printed more than ", spec.max_output_bytes, " bytes\n", tail.Text()));
      case Reason::kCancelled:
        return absl::CancelledError("the build was cancelled");
    }
    return absl::InternalError("a build ended in no known way");
  }

  absl::StatusOr<Package> Collect(const std::string& folder) {
    std::map<std::string, std::string> images;
    for (const absl::string_view name : kImages) {
      auto content = files_.ReadFile(absl::StrCat(folder, "/", name), kMaxImageBytes);
      if (content.ok()) images.emplace(std::string(name), *std::move(content));
    }
    if (!images.contains("firmware.bin")) {
      return MakeError(ErrorCode::kBuildFailed,
                       "PlatformIO ended well and left no firmware.bin; is this a project for the "
                       "ESP32 family?");
    }
    return Package::FromFiles(std::move(images));
  }

  const BuilderOptions options_;
  ChildRunner& children_;
  BundleStore& bundles_;
  base::FileSystem& files_;
  BuildCache cache_;

  absl::Mutex mutex_;
  std::string version_ ABSL_GUARDED_BY(mutex_);
  int builds_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::unique_ptr<Builder> Builder::Create(const BuilderOptions& options, ChildRunner& children,
                                         BundleStore& bundles, base::FileSystem& files) {
  auto builder = std::make_unique<PlatformioBuilder>(options, children, bundles, files);
  builder->RemoveLeftovers();
  return builder;
}

}  // namespace kiln::firmware
