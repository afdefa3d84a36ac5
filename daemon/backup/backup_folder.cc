#include "daemon/backup/backup_folder.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/safe_text.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kiln::backup {
namespace {

using nlohmann::json;

constexpr char kStatusName[] = "last-backup.json";
constexpr char kSuffix[] = ".tar.gz";
// Sorts by time as text. Four digits of year: a bare %Y would read on.
constexpr char kTimeFormat[] = "%E4Y%m%dT%H%M%SZ";
constexpr size_t kMaxStatusBytes = size_t{64} * 1024;
constexpr size_t kMaxProblemBytes = 2048;
// Monitoring reads it; it tells nothing of the content.
constexpr uint32_t kStatusMode = 0644;

std::string Stamp(absl::Time time) {
  return time == absl::InfinitePast()
             ? ""
             : absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

absl::Time TimeOf(const json& object, const char* key) {
  const auto found = object.find(key);
  absl::Time time;
  if (found == object.end() || !found->is_string() ||
      !absl::ParseTime(absl::RFC3339_full, found->get<std::string>(), &time, nullptr)) {
    return absl::InfinitePast();
  }
  return time;
}

std::string TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return "";
  return base::SafeText(found->get<std::string>(), kMaxProblemBytes);
}

}  // namespace

std::string BackupName(absl::string_view station_id, absl::Time time) {
  return absl::StrCat("kiln-", station_id, "-",
                      absl::FormatTime(kTimeFormat, time, absl::UTCTimeZone()), kSuffix);
}

std::vector<std::string> BackupsOf(absl::string_view station_id,
                                   const std::vector<std::string>& names) {
  std::vector<std::string> backups;
  for (const std::string& name : names) {
    absl::string_view stamp = name;
    absl::Time time;
    if (absl::ConsumePrefix(&stamp, absl::StrCat("kiln-", station_id, "-")) &&
        absl::ConsumeSuffix(&stamp, kSuffix) &&
        absl::ParseTime(kTimeFormat, stamp, &time, nullptr) &&
        BackupName(station_id, time) == name) {
      backups.push_back(name);
    }
  }
  std::sort(backups.begin(), backups.end(), std::greater<>());
  return backups;
}

absl::StatusOr<BackupStatus> ReadBackupStatus(base::FileSystem& files,
                                              const std::string& state_directory) {
  const absl::StatusOr<std::string> text =
      files.ReadFile(absl::StrCat(state_directory, "/", kStatusName), kMaxStatusBytes);
  if (absl::IsNotFound(text.status())) return BackupStatus();
  RETURN_IF_ERROR(text.status());
  const json object = json::parse(*text, nullptr, false);
  if (!object.is_object()) {
    return absl::InternalError(
        absl::StrCat(state_directory, "/", kStatusName, " is no JSON object"));
  }
  BackupStatus status;
  status.attempt_time = TimeOf(object, "attempt_time");
  status.success_time = TimeOf(object, "success_time");
  status.problem = TextOf(object, "problem");
  status.file = TextOf(object, "file");
  const auto ok = object.find("ok");
  status.ok = ok != object.end() && ok->is_boolean() && ok->get<bool>();
  const auto bytes = object.find("bytes");
  if (bytes != object.end() && bytes->is_number_unsigned()) status.bytes = bytes->get<uint64_t>();
  return status;
}

absl::Status WriteBackupStatus(base::FileSystem& files, const std::string& state_directory,
                               const BackupStatus& status) {
  const json object = {{"attempt_time", Stamp(status.attempt_time)},
                       {"ok", status.ok},
                       {"problem", base::SafeText(status.problem, kMaxProblemBytes)},
                       {"success_time", Stamp(status.success_time)},
                       {"file", base::SafeText(status.file, kMaxProblemBytes)},
                       {"bytes", status.bytes}};
  return files.WriteFileAtomically(absl::StrCat(state_directory, "/", kStatusName),
                                   object.dump(2) + "\n", base::FileSystem::IfExists::kReplace,
                                   kStatusMode);
}

}  // namespace kiln::backup
