#include "daemon/health_probes.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "daemon/backup/backup_folder.h"
#include "daemon/telemetry/health_checks.h"

namespace kiln::daemon {
namespace {

absl::Status CheckPorts(const boards::Registry& boards, std::string& message) {
  int present = 0;
  const std::vector<boards::BoardInfo> all = boards.List();
  for (const boards::BoardInfo& board : all) {
    if (!board.present) continue;
    ++present;
    RETURN_IF_ERROR(board.usable) << "the board at " << board.port << " cannot be used";
  }
  message = absl::StrCat(present, " boards at ", all.size(), " known ports.");
  return absl::OkStatus();
}

absl::Status CheckBundles(const firmware::BundleStore& bundles, std::string& message) {
  const std::vector<std::string> damaged = bundles.damaged();
  if (!damaged.empty()) {
    return absl::DataLossError(
        absl::StrCat("damaged bundle files: ", absl::StrJoin(damaged, ", ")));
  }
  message = absl::StrCat(bundles.List(/*include_retired=*/false).size(), " bundles in use.");
  return absl::OkStatus();
}

absl::Status CheckStubs(const Config& config, const esp::StubStore& stubs, std::string& message) {
  if (config.stub_directory.empty()) {
    message = "Stub loaders are switched off; boards are written through their ROM loader.";
    return absl::OkStatus();
  }
  if (!stubs.problems().empty()) return absl::DataLossError(stubs.problems().front());
  if (stubs.chips().empty()) {
    return absl::NotFoundError(absl::StrCat("no stub loaders in ", config.stub_directory,
                                            "; boards are written slower, through their ROM"));
  }
  message = absl::StrCat("Stub loaders for ", stubs.chips().size(), " chips.");
  return absl::OkStatus();
}

// The backups are made by a process of their own, which leaves word in the state folder.
absl::Status CheckBackup(const Config& config, const HealthSubjects& subjects,
                         std::string& message) {
  ASSIGN_OR_RETURN(const backup::BackupStatus status,
                   backup::ReadBackupStatus(*subjects.files, config.state_directory));
  subjects.metrics->SetBackup(status.success_time, status.ok, status.bytes);
  if (status.attempt_time == absl::InfinitePast()) {
    message = "No backup has been made yet.";
    return absl::OkStatus();
  }
  if (!status.ok) {
    return absl::DataLossError(absl::StrCat("the last backup failed: ", status.problem));
  }
  const absl::Duration age = subjects.clock->Now() - status.success_time;
  const std::string hours = absl::StrCat(absl::ToInt64Hours(age), " hours old");
  if (config.backup_max_age > absl::ZeroDuration() && age > config.backup_max_age) {
    return absl::DeadlineExceededError(absl::StrCat("the last backup is ", hours));
  }
  message = absl::StrCat("The last backup is ", hours, ".");
  return absl::OkStatus();
}

}  // namespace

std::vector<telemetry::HealthProbe> MakeHealthProbes(const Config& config,
                                                     const HealthSubjects& subjects) {
  const HealthSubjects s = subjects;
  return {
      {"ledger", /*critical=*/true,
       [s](std::string& message) -> absl::Status {
         RETURN_IF_ERROR(s.ledger->CheckHealth());
         message = "The ledger can be read and written.";
         return absl::OkStatus();
       }},
      telemetry::WritableFolderProbe("export_folder", config.export_directory, /*critical=*/true,
                                     *s.files),
      telemetry::WritableFolderProbe("temp_folder", config.temp_directory, /*critical=*/false,
                                     *s.files),
      telemetry::FreeSpaceProbe(config.state_directory,
                                static_cast<uint64_t>(config.minimum_free_mib) << 20, *s.files),
      {"ports", /*critical=*/false,
       [s](std::string& message) { return CheckPorts(*s.boards, message); }},
      {"bundles", /*critical=*/false,
       [s](std::string& message) { return CheckBundles(*s.bundles, message); }},
      {"stubs", /*critical=*/false,
       [s, config](std::string& message) { return CheckStubs(config, *s.stubs, message); }},
      {"builder", /*critical=*/false,
       [s](std::string& message) { return s.builder->CheckHealth(message); }},
      {"usb", /*critical=*/true,
       [s](std::string& message) { return s.usb->CheckHealth(*s.boards, message); }},
      {"backup", /*critical=*/false,
       [s, config](std::string& message) { return CheckBackup(config, s, message); }},
  };
}

}  // namespace kiln::daemon
