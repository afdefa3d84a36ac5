#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/file_system.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"
#include "clients/cli/zip_folder.h"

namespace kiln::cli {
namespace {

// The station's default limit; it has the last word.
constexpr uint64_t kMaxPackageBytes = uint64_t{64} << 20;
// Below the contract's 1 MiB a chunk.
constexpr size_t kChunkBytes = 512 << 10;

struct ImportOptions {
  std::string path;
  std::string title;
  std::string version;
  std::string chip;
  bool validate_only = false;
};

struct Package {
  std::string file_name;
  std::string bytes;
};

absl::StatusOr<Package> ReadPackage(const std::string& path) {
  // "build/" and "build" name the same folder.
  const std::filesystem::path clean = std::filesystem::path(path).lexically_normal();
  const std::filesystem::path named = clean.has_filename() ? clean : clean.parent_path();
  if (std::filesystem::is_directory(path)) {
    absl::StatusOr<std::string> zip = ZipFolder(path, kMaxPackageBytes);
    if (!zip.ok()) return zip.status();
    return Package{
        absl::StrCat(std::filesystem::weakly_canonical(named).filename().string(), ".zip"),
        *std::move(zip)};
  }
  absl::StatusOr<std::string> bytes = base::SystemFileSystem().ReadFile(path, kMaxPackageBytes);
  if (!bytes.ok()) return bytes.status();
  return Package{named.filename().string(), *std::move(bytes)};
}

grpc::Status Send(Session& session, const ImportOptions& options, const Package& package,
                  v1::ImportBundleResponse* response) {
  const auto context = Session::NewContext(absl::Minutes(5));
  const auto writer = session.firmware().ImportBundle(context.get(), response);
  v1::ImportBundleRequest message;
  v1::ImportBundleHeader* header = message.mutable_header();
  header->set_file_name(package.file_name);
  header->set_title(options.title);
  header->set_version(options.version);
  header->set_chip(options.chip);
  header->set_validate_only(options.validate_only);
  header->set_size_bytes(package.bytes.size());
  bool open = writer->Write(message);
  for (size_t at = 0; open && at < package.bytes.size(); at += kChunkBytes) {
    message.set_chunk(package.bytes.substr(at, kChunkBytes));
    open = writer->Write(message);
  }
  writer->WritesDone();
  return writer->Finish();
}

int Import(Session& session, const ImportOptions& options) {
  const absl::StatusOr<Package> package = ReadPackage(options.path);
  if (!package.ok()) {
    session.err() << package.status().message() << "\n";
    return kExitUsage;
  }
  v1::ImportBundleResponse response;
  const grpc::Status status = Send(session, options, *package, &response);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(response);
    return kExitOk;
  }
  const v1::Bundle& bundle = response.bundle();
  const TextId text = options.validate_only        ? TextId::kValid
                      : response.already_existed() ? TextId::kAlreadyThere
                                                   : TextId::kImported;
  session.out() << session.texts().Format(
                       text,
                       {bundle.id().substr(0, 12),
                        absl::StrCat(bundle.title(), " ", bundle.version(), ", ", bundle.chip()),
                        absl::StrCat(bundle.images_size()), HumanBytes(bundle.total_bytes())})
                << "\n";
  return kExitOk;
}

int List(Session& session, bool all) {
  const Texts& texts = session.texts();
  const auto word = [&texts](TextId id) { return std::string(texts.Get(id)); };
  Table table({word(TextId::kId), word(TextId::kTitle), word(TextId::kVersion), word(TextId::kChip),
               word(TextId::kImages), word(TextId::kSize), word(TextId::kCreated)});
  v1::ListBundlesRequest request;
  request.set_include_retired(all);
  v1::ListBundlesResponse response;
  do {
    const auto context = Session::NewContext();
    const grpc::Status status = session.firmware().ListBundles(context.get(), request, &response);
    if (!status.ok()) return session.Fail(status);
    for (const v1::Bundle& bundle : response.bundles()) {
      if (session.options().json) {
        session.PrintJson(bundle);
        continue;
      }
      table.AddRow({bundle.id().substr(0, 12), bundle.title(), bundle.version(), bundle.chip(),
                    absl::StrCat(bundle.images_size()), HumanBytes(bundle.total_bytes()),
                    HumanTime(absl::FromUnixSeconds(bundle.create_time().seconds()))});
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  if (!session.options().json) {
    session.out() << (table.empty() ? absl::StrCat(texts.Get(TextId::kNoBundles), "\n")
                                    : table.Render());
  }
  return kExitOk;
}

int Show(Session& session, const std::string& id) {
  v1::GetBundleRequest request;
  request.set_name(ResourceName("bundles", id));
  v1::Bundle bundle;
  const auto context = Session::NewContext();
  const grpc::Status status = session.firmware().GetBundle(context.get(), request, &bundle);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(bundle);
    return kExitOk;
  }
  const Texts& texts = session.texts();
  const auto word = [&texts](TextId id) { return std::string(texts.Get(id)); };
  session.out() << bundle.id() << "\n"
                << bundle.title() << " " << bundle.version() << ", " << bundle.chip() << ", "
                << bundle.provenance().source_kind() << " " << bundle.provenance().source_name()
                << "\n";
  Table table({word(TextId::kOffset), word(TextId::kSize), word(TextId::kLabel), "SHA-256"});
  for (const v1::Image& image : bundle.images()) {
    table.AddRow({absl::StrFormat("0x%06x", image.offset()), HumanBytes(image.size()),
                  image.label(), image.sha256().substr(0, 16)});
  }
  session.out() << table.Render();
  if (bundle.nvs_values().empty()) return kExitOk;
  Table values({"NVS", word(TextId::kType), word(TextId::kValue)});
  for (const v1::NvsValue& value : bundle.nvs_values()) {
    values.AddRow(
        {absl::StrCat(value.namespace_(), ".", value.key()), value.type(), value.value()});
  }
  session.out() << values.Render();
  return kExitOk;
}

int Retire(Session& session, const std::string& id) {
  v1::RetireBundleRequest request;
  request.set_name(ResourceName("bundles", id));
  v1::Bundle bundle;
  const auto context = Session::NewContext();
  const grpc::Status status = session.firmware().RetireBundle(context.get(), request, &bundle);
  if (!status.ok()) return session.Fail(status);
  if (session.options().json) {
    session.PrintJson(bundle);
  } else {
    session.out() << session.texts().Format(TextId::kRetired, {bundle.id().substr(0, 12)}) << "\n";
  }
  return kExitOk;
}

}  // namespace

void AddFirmwareCommand(CLI::App& app, Run& run) {
  CLI::App* firmware = app.add_subcommand("firmware", "Firmware bundles");
  firmware->require_subcommand(0, 1);

  CLI::App* import = firmware->add_subcommand("import", "Check and store a package");
  const auto options = std::make_shared<ImportOptions>();
  import
      ->add_option("path", options->path,
                   "ESP-IDF or PlatformIO build folder, ESP Web Tools folder, zip, or merged image")
      ->required()
      ->check(CLI::ExistingPath);
  import->add_option("--title", options->title, "Title instead of the package's own");
  import->add_option("--version", options->version, "Version instead of the package's own");
  import->add_option("--chip", options->chip, "Chip, for example ESP32-C3");
  import->add_flag("--validate-only", options->validate_only, "Check the package, store nothing");
  import->callback(
      [&run, options] { run = [options](Session& session) { return Import(session, *options); }; });

  AddFirmwareBuildCommand(*firmware, run);

  CLI::App* list = firmware->add_subcommand("list", "List bundles, newest first (the default)");
  const auto all = std::make_shared<bool>(false);
  list->add_flag("--all", *all, "Also those that are retired");
  list->callback([&run, all] { run = [all](Session& session) { return List(session, *all); }; });

  const auto id = std::make_shared<std::string>();
  CLI::App* show = firmware->add_subcommand("show", "One bundle in full");
  show->add_option("id", *id, "Bundle, or the first 8 or more digits of its id")->required();
  show->callback([&run, id] { run = [id](Session& session) { return Show(session, *id); }; });
  CLI::App* retire = firmware->add_subcommand("retire", "Take a bundle out of use");
  retire->add_option("id", *id, "Bundle, or the first 8 or more digits of its id")->required();
  retire->callback([&run, id] { run = [id](Session& session) { return Retire(session, *id); }; });

  firmware->callback([&run, firmware] {
    if (firmware->get_subcommands().empty()) {
      run = [](Session& session) { return List(session, false); };
    }
  });
}

}  // namespace kiln::cli
