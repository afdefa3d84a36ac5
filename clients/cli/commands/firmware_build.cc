#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"
#include "clients/cli/zip_folder.h"

namespace kiln::cli {
namespace {

// What a station takes is a zip of 3 MiB; sources compress well.
constexpr uint64_t kMaxTemplateBytes = uint64_t{16} << 20;

struct BuildOptions {
  std::string folder;
  std::string base_bundle;
  std::vector<std::string> values;  // "key=value"
  std::string title;
  std::string version;
  bool ignore_cache = false;
};

// Tells of one message; the result is kept for the end.
void Tell(Session& session, const v1::BuildBundleResponse& message) {
  if (session.options().json) return session.PrintJson(message);
  const auto say = [&session](TextId id) { session.err() << session.texts().Get(id) << "\n"; };
  switch (message.payload_case()) {
    case v1::BuildBundleResponse::kStage:
      if (message.stage() == v1::BUILD_STAGE_PREPARE) say(TextId::kBuildPreparing);
      if (message.stage() == v1::BUILD_STAGE_BUILD) say(TextId::kBuildRunning);
      if (message.stage() == v1::BUILD_STAGE_IMPORT) say(TextId::kBuildImporting);
      return;
    case v1::BuildBundleResponse::kLogLine:
      session.err() << "  " << message.log_line() << "\n";
      return;
    default:
      return;
  }
}

int Build(Session& session, const BuildOptions& options) {
  const std::filesystem::path folder = std::filesystem::weakly_canonical(options.folder);
  const absl::StatusOr<std::string> zip = ZipTemplate(folder.string(), kMaxTemplateBytes);
  if (!zip.ok()) {
    session.err() << zip.status().message() << "\n";
    return kExitUsage;
  }
  v1::BuildBundleRequest request;
  request.set_template_(*zip);
  request.set_template_name(folder.filename().string());
  request.set_title(options.title);
  request.set_version(options.version);
  request.set_ignore_cache(options.ignore_cache);
  if (!options.base_bundle.empty()) {
    request.set_base_bundle(ResourceName("bundles", options.base_bundle));
  }
  for (const std::string& value : options.values) {
    const size_t equals = value.find('=');
    if (equals == std::string::npos) {
      session.err() << "--set " << value << ": KEY=VALUE\n";
      return kExitUsage;
    }
    (*request.mutable_values())[value.substr(0, equals)] = value.substr(equals + 1);
  }

  // Ending this program ends the call, and so the build.
  const auto context = Session::NewContext(absl::InfiniteDuration());
  const auto reader = session.firmware().BuildBundle(context.get(), request);
  v1::BuildBundleResponse message;
  v1::BuildResult result;
  while (reader->Read(&message)) {
    Tell(session, message);
    if (message.has_result()) result = message.result();
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) return session.Fail(status);
  if (session.options().json) return kExitOk;
  const v1::Bundle& bundle = result.bundle();
  const TextId text = result.from_cache()        ? TextId::kNothingToBuild
                      : result.already_existed() ? TextId::kAlreadyThere
                                                 : TextId::kBuilt;
  session.out() << session.texts().Format(
                       text,
                       {bundle.id().substr(0, 12),
                        absl::StrCat(bundle.title(), " ", bundle.version(), ", ", bundle.chip()),
                        absl::StrCat(bundle.images_size()), HumanBytes(bundle.total_bytes())})
                << "\n";
  return kExitOk;
}

}  // namespace

void AddFirmwareBuildCommand(CLI::App& firmware, Run& run) {
  CLI::App* build =
      firmware.add_subcommand("build", "Make a bundle of a template, with or without a build");
  const auto options = std::make_shared<BuildOptions>();
  build
      ->add_option("--template", options->folder,
                   "Folder with a kiln-template.toml, and the PlatformIO project to build")
      ->required()
      ->check(CLI::ExistingDirectory);
  build->add_option("--set", options->values, "KEY=VALUE of the template; may be repeated")
      ->allow_extra_args(false);
  build->add_option("--on", options->base_bundle,
                    "Bundle whose images are used: build nothing, set values for NVS alone");
  build->add_option("--title", options->title, "Title instead of the template's own");
  build->add_option("--version", options->version, "Version instead of the template's own");
  build->add_flag("--rebuild", options->ignore_cache,
                  "Build even when the same template and values were built before");
  build->callback(
      [&run, options] { run = [options](Session& session) { return Build(session, *options); }; });
}

}  // namespace kiln::cli
