#include "daemon/backup/backup.h"

#include <google/protobuf/struct.pb.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"
#include "clients/cli/texts.h"
#include "daemon/api/wire/rpc_wire.h"
#include "daemon/backup/restore.h"
#include "daemon/config.h"
#include "errors/error.h"

namespace kiln::cli {
namespace {

constexpr char kDefaultConfig[] = "/etc/kiln/kiln.toml";

int Fail(Session& session, const absl::Status& status) {
  const errors::ErrorCode code = errors::CodeOf(status);
  int exit_code = kExitInternal;
  if (code == errors::ErrorCode::kRestoreRefused || code == errors::ErrorCode::kBackupDamaged) {
    exit_code = kExitRefused;
  }
  return session.Fail(rpc::FailureFrom(code, std::string(status.message())), exit_code);
}

int FailUsage(Session& session, const absl::Status& status) {
  return session.Fail(
      rpc::FailureFrom(errors::ErrorCode::kRequestInvalid, std::string(status.message())),
      kExitUsage);
}

// Root becomes the user whom the station's state belongs to, so that whatever is made belongs to
// that user, too. Anybody else stays who they are.
absl::Status BecomeOwnerOf(const std::string& state_directory) {
  struct stat facts = {};
  if (::geteuid() != 0 || ::stat(state_directory.c_str(), &facts) != 0 || facts.st_uid == 0) {
    return absl::OkStatus();
  }
  if (::setgroups(1, &facts.st_gid) == 0 && ::setgid(facts.st_gid) == 0 &&
      ::setuid(facts.st_uid) == 0) {
    return absl::OkStatus();
  }
  return errors::MakeError(
      errors::ErrorCode::kBackupFailed,
      absl::StrCat("becoming the owner of ", state_directory, ": ", strerror(errno)));
}

std::string SizeText(uint64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

// As for kilnd: kills this process at the point that KILN_FAILPOINT names, for crash tests.
std::function<void(const std::string&)> FailpointOf(const daemon::Config& config) {
  const char* name = config.failpoints ? std::getenv("KILN_FAILPOINT") : nullptr;
  if (name == nullptr || *name == '\0') return {};
  return [wanted = std::string(name)](const std::string& point) {
    if (point == wanted) ::raise(SIGKILL);
  };
}

void Put(google::protobuf::Struct& message, const char* key, absl::string_view text) {
  (*message.mutable_fields())[key].set_string_value(std::string(text));
}
void Put(google::protobuf::Struct& message, const char* key, int64_t number) {
  (*message.mutable_fields())[key].set_number_value(static_cast<double>(number));
}

int BackUp(Session& session, const std::string& config_path, const std::string& to) {
  const absl::StatusOr<daemon::Config> config = daemon::ReadConfig(config_path);
  if (!config.ok()) return FailUsage(session, config.status());
  if (const absl::Status status = BecomeOwnerOf(config->state_directory); !status.ok()) {
    return Fail(session, status);
  }
  const auto outcome =
      backup::CreateBackup({.station_id = config->station_id,
                            .kiln_version = KILN_VERSION,
                            .state_directory = config->state_directory,
                            .export_directory = config->export_directory,
                            .backup_directory = to.empty() ? config->backup_directory : to,
                            .keep = config->backups_kept},
                           base::SystemFileSystem(), base::SystemClock());
  if (!outcome.ok()) return Fail(session, outcome.status());
  if (session.options().json) {
    google::protobuf::Struct message;
    Put(message, "path", outcome->path);
    Put(message, "bytes", static_cast<int64_t>(outcome->bytes));
    Put(message, "last_sequence", outcome->facts.ledger.last_sequence);
    Put(message, "head", outcome->facts.ledger.head_hex);
    Put(message, "bundles", outcome->bundles);
    Put(message, "records", outcome->records);
    for (const std::string& name : outcome->removed) {
      (*message.mutable_fields())["removed"].mutable_list_value()->add_values()->set_string_value(
          name);
    }
    session.PrintJson(message);
    return kExitOk;
  }
  session.out() << session.texts().Format(
                       TextId::kBackupMade,
                       {outcome->path, SizeText(outcome->bytes),
                        absl::StrCat(outcome->facts.ledger.last_sequence),
                        absl::StrCat(outcome->bundles), absl::StrCat(outcome->records)})
                << "\n";
  for (const std::string& name : outcome->removed) {
    session.out() << session.texts().Format(TextId::kBackupRemoved, {name}) << "\n";
  }
  return kExitOk;
}

// Shows what is about to happen, on the error stream, and waits for the word.
bool Confirm(Session& session, const backup::Restore& restore, const std::string& station_id) {
  const Texts& texts = session.texts();
  std::ostream& err = session.err();
  const backup::BackupFacts& facts = restore.facts();
  err << texts.Format(TextId::kRestoreOf, {facts.station_id, HumanTime(facts.create_time),
                                           absl::StrCat(facts.ledger.last_sequence)})
      << "\n";
  if (facts.station_id != station_id) {
    err << texts.Format(TextId::kRestoreOtherStation, {station_id}) << "\n";
  }
  if (restore.present().ok()) {
    err << texts.Format(TextId::kRestoreReplaces, {absl::StrCat(restore.present()->last_sequence)});
  } else {
    err << texts.Get(TextId::kRestoreReplacesNone);
  }
  err << "\n" << texts.Get(TextId::kRestoreAsk) << std::flush;
  std::string word;
  std::getline(std::cin, word);
  return absl::StripAsciiWhitespace(word) == "yes";
}

int Restore(Session& session, const std::string& config_path, const std::string& archive) {
  const absl::StatusOr<daemon::Config> config = daemon::ReadConfig(config_path);
  if (!config.ok()) return FailUsage(session, config.status());
  if (const absl::Status status = BecomeOwnerOf(config->state_directory); !status.ok()) {
    return Fail(session, status);
  }
  auto restore = backup::Restore::Prepare(archive,
                                          {.state_directory = config->state_directory,
                                           .export_directory = config->export_directory,
                                           .failpoint = FailpointOf(*config)},
                                          base::SystemFileSystem());
  if (!restore.ok()) return Fail(session, restore.status());
  if (!Confirm(session, **restore, config->station_id)) {
    session.err() << session.texts().Get(TextId::kRestoreNotDone) << "\n";
    return kExitRefused;
  }
  const auto outcome = (*restore)->Commit(base::SystemClock().Now());
  if (!outcome.ok()) return Fail(session, outcome.status());
  if (session.options().json) {
    google::protobuf::Struct message;
    Put(message, "last_sequence", (*restore)->facts().ledger.last_sequence);
    Put(message, "head", (*restore)->facts().ledger.head_hex);
    Put(message, "records_written", outcome->records_written);
    Put(message, "records_kept", outcome->records_kept);
    Put(message, "old_state", outcome->old_state);
    session.PrintJson(message);
    return kExitOk;
  }
  session.out() << session.texts().Format(TextId::kRestoreDone,
                                          {absl::StrCat(outcome->records_written),
                                           absl::StrCat(outcome->records_kept), outcome->old_state})
                << "\n"
                << session.texts().Get(TextId::kRestoreStart) << "\n";
  return kExitOk;
}

}  // namespace

void AddBackupCommand(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "backup", "Back up this computer's station, running or not, to a new archive");
  const auto config = std::make_shared<std::string>(kDefaultConfig);
  const auto to = std::make_shared<std::string>();
  command->add_option("--config", *config, "The station's configuration")->capture_default_str();
  command->add_option("--to", *to, "Folder for the archive; default: as configured");
  command->callback([&run, config, to] {
    run = [config, to](Session& session) { return BackUp(session, *config, *to); };
  });
}

void AddRestoreCommand(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "restore",
      "Put a backup in the place of this computer's station, which must be stopped; asks for yes");
  const auto config = std::make_shared<std::string>(kDefaultConfig);
  const auto archive = std::make_shared<std::string>();
  command->add_option("--config", *config, "The station's configuration")->capture_default_str();
  command->add_option("archive", *archive, "The backup, as `kiln backup` made it")->required();
  command->callback([&run, config, archive] {
    run = [config, archive](Session& session) { return Restore(session, *config, *archive); };
  });
}

}  // namespace kiln::cli
