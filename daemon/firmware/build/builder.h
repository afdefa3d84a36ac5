#ifndef KILN_DAEMON_FIRMWARE_BUILD_BUILDER_H_
#define KILN_DAEMON_FIRMWARE_BUILD_BUILDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "daemon/firmware/build/child_process.h"
#include "daemon/firmware/bundle_store.h"

namespace kiln::firmware {

// How builds run; deploy/kiln.toml, [builder].
struct BuilderOptions {
  std::string platformio;       // absolute path of PlatformIO's pio; empty: builds are off
  std::string core_directory;   // PLATFORMIO_CORE_DIR: platforms and tools
  std::string temp_directory;   // each build has a folder of its own here
  std::string cache_directory;  // which inputs gave which bundle
  std::string path = "/usr/local/bin:/usr/bin:/bin";  // PATH of the build
  absl::Duration timeout = absl::Minutes(10);
  uint64_t max_memory_bytes = uint64_t{4} << 30;
  bool network = false;
  bool sandbox = true;
};

struct BuildRequest {
  std::string package;  // a zip of the template's folder
  std::string name;     // of the template, for the provenance
  std::map<std::string, std::string> values;
  std::string title;    // empty: the template's
  std::string version;  // empty: the template's
  bool use_cache = true;
  // A bundle whose images are taken instead of a build, by id or prefix; empty: build.
  std::string base_bundle;
};

enum class BuildStage { kPrepare, kBuild, kImport };

// Is told what happens, on the thread of Build.
class BuildListener {
 public:
  virtual ~BuildListener() = default;
  virtual void OnStage(BuildStage stage) = 0;
  // One line of the build's output; clean UTF-8.
  virtual void OnLog(absl::string_view line) = 0;
};

struct BuildOutcome {
  Bundle bundle;
  bool already_existed = false;
  bool from_cache = false;  // nothing was built: the images were there
};

// Makes bundles of templates. Values for NVS are put beside images that are there: those of a
// bundle that is named, or of an earlier build with the same compiled-in values. Otherwise
// PlatformIO builds: the template is unpacked into a temporary folder, the values written into its
// headers, `pio run` run under limits, what it made imported, and the folder removed. Thread-safe;
// owned by main, used by the API on a thread of its own, for a build takes minutes.
class Builder {
 public:
  // A template is source code.
  static constexpr size_t kMaxTemplateBytes = size_t{3} << 20;

  // All must outlive the builder. Removes what builds of an earlier run left in the temp folder.
  static std::unique_ptr<Builder> Create(const BuilderOptions& options, ChildRunner& children,
                                         BundleStore& bundles, base::FileSystem& files);
  virtual ~Builder() = default;

  // Errors: TemplateInvalid, TemplateValueInvalid, those of an import, and CANCELLED; on a bundle
  // BundleNotFound and BundleRetired; of a build BuilderUnavailable, BuildFailed with the last
  // lines of the output, and BuildTimedOut.
  virtual absl::StatusOr<BuildOutcome> Build(const BuildRequest& request, BuildListener& listener,
                                             const base::Cancellation& cancellation) = 0;
  // Whether builds are possible; `message` says with what, or that they are off.
  virtual absl::Status CheckHealth(std::string& message) = 0;
};

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUILD_BUILDER_H_
