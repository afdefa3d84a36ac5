#include "daemon/backup/contents.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/digest.h"
#include "base/safe_text.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "nlohmann/json.hpp"

namespace kiln::backup {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using nlohmann::json;

// Of the archive's form; raised when an older Kiln could not restore a newer one's backup.
constexpr int kFormat = 1;
constexpr size_t kHexDigest = 64;
// kiln-backup.json has a few hundred bytes; SHA256SUMS about 140 for each file.
constexpr size_t kMaxFactsBytes = size_t{64} * 1024;
constexpr size_t kMaxSumsBytes = size_t{256} << 20;
constexpr size_t kReadBytes = size_t{64} * 1024;

absl::Status Damaged(absl::string_view why) { return MakeError(ErrorCode::kBackupDamaged, why); }

bool IsDigest(absl::string_view text) {
  return text.size() == kHexDigest && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

// A name that is safe in any folder and on any file system.
bool IsPlainFileName(absl::string_view name) {
  return !name.empty() && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                  c == '.';
         });
}

// The value of `key` when it is a string.
std::string TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

int64_t NumberOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : -1;
}

// The whole of the present file, for the two texts of an archive.
absl::StatusOr<std::string> ReadText(ArchiveReader& archive, size_t max_bytes) {
  std::string text;
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    ASSIGN_OR_RETURN(const size_t got, archive.Read(buffer.data(), buffer.size()));
    if (got == 0) return text;
    if (text.size() + got > max_bytes) return Damaged("a text in it is too long");
    text.append(buffer, 0, got);
  }
}

absl::StatusOr<std::string> ReadContent(ArchiveReader& archive, const ContentSink& sink) {
  base::Sha256Stream digest;
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    ASSIGN_OR_RETURN(const size_t got, archive.Read(buffer.data(), buffer.size()));
    const absl::string_view bytes(buffer.data(), got);
    digest.Update(base::AsBytes(bytes));
    if (sink) {
      RETURN_IF_ERROR(sink(bytes));
    }
    if (got == 0) return base::HexOf(digest.Finish());
  }
}

// Names what differs between the sums that were read and those that were found.
absl::Status CompareSums(const Sums& expected, const Sums& found) {
  for (const auto& [name, sum] : expected) {
    const auto it = found.find(name);
    if (it == found.end()) return Damaged(absl::StrCat(name, " is missing from it"));
    if (it->second != sum) return Damaged(absl::StrCat(name, " in it is not what was backed up"));
  }
  for (const auto& [name, sum] : found) {
    if (!expected.contains(name)) return Damaged(absl::StrCat(name, " does not belong into it"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeFacts(const BackupFacts& facts) {
  const json object = {
      {"format", kFormat},
      {"station_id", facts.station_id},
      {"kiln_version", facts.kiln_version},
      {"create_time", absl::FormatTime(absl::RFC3339_sec, facts.create_time, absl::UTCTimeZone())},
      {"ledger",
       {{"schema", facts.ledger.schema_version},
        {"last_sequence", facts.ledger.last_sequence},
        {"head", facts.ledger.head_hex}}}};
  return object.dump(2) + "\n";
}

absl::StatusOr<BackupFacts> DecodeFacts(absl::string_view text) {
  const json object = json::parse(text.begin(), text.end(), nullptr, false);
  if (!object.is_object()) return Damaged(absl::StrCat(kFactsName, " in it is no JSON object"));
  const int64_t format = NumberOf(object, "format");
  if (format > kFormat) {
    return MakeError(ErrorCode::kRestoreRefused,
                     absl::StrCat("the backup has form ", format, "; this Kiln knows ", kFormat));
  }
  BackupFacts facts;
  facts.station_id = base::SafeText(TextOf(object, "station_id"), 64);
  facts.kiln_version = base::SafeText(TextOf(object, "kiln_version"), 64);
  const json ledger = object.value("ledger", json::object());
  if (!ledger.is_object()) return Damaged(absl::StrCat(kFactsName, " in it names no ledger"));
  const int64_t schema = NumberOf(ledger, "schema");
  facts.ledger.schema_version = static_cast<int>(std::clamp<int64_t>(schema, -1, 1 << 20));
  facts.ledger.last_sequence = NumberOf(ledger, "last_sequence");
  facts.ledger.head_hex = TextOf(ledger, "head");
  if (format < 1 || schema < 1 || facts.ledger.last_sequence < 0 ||
      !IsDigest(facts.ledger.head_hex) || facts.station_id.empty() ||
      !absl::ParseTime(absl::RFC3339_full, TextOf(object, "create_time"), &facts.create_time,
                       nullptr)) {
    return Damaged(absl::StrCat(kFactsName, " in it is not complete"));
  }
  return facts;
}

std::string EncodeSums(const Sums& sums) {
  std::string text;
  for (const auto& [name, sum] : sums) absl::StrAppend(&text, sum, "  ", name, "\n");
  return text;
}

absl::StatusOr<Sums> DecodeSums(absl::string_view text) {
  Sums sums;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const absl::string_view sum = line.substr(0, kHexDigest);
    absl::string_view name = line.substr(sum.size());
    if (!IsDigest(sum) || !absl::ConsumePrefix(&name, "  ") || !IsBackupName(name) ||
        !sums.emplace(std::string(name), std::string(sum)).second) {
      return Damaged(absl::StrCat(kSumsName, " in it cannot be read"));
    }
  }
  return sums;
}

bool IsRecordName(absl::string_view name) {
  const bool failed = absl::ConsumePrefix(&name, "failed/");
  if (!IsPlainFileName(name)) return false;
  if (absl::StartsWith(name, "customer-") && absl::EndsWith(name, ".json")) return true;
  return !failed && absl::StartsWith(name, "esp32-deployments-") && absl::EndsWith(name, ".csv");
}

bool IsBackupName(absl::string_view name) {
  if (name.size() >= kMaxNameBytes) return false;
  if (name == kFactsName || name == kLedgerName || name == kSumsName) return true;
  if (absl::ConsumePrefix(&name, absl::StrCat(kImagesFolder, "/"))) return IsDigest(name);
  if (absl::ConsumePrefix(&name, absl::StrCat(kBundlesFolder, "/"))) {
    return absl::ConsumeSuffix(&name, ".json") && IsDigest(name);
  }
  return absl::ConsumePrefix(&name, absl::StrCat(kRecordsFolder, "/")) && IsRecordName(name);
}

absl::StatusOr<BackupFacts> ReadBackup(
    ArchiveReader& archive, const std::function<absl::Status(const BackupFacts&)>& on_facts,
    const std::function<absl::StatusOr<ContentSink>(const std::string& name)>& open) {
  ASSIGN_OR_RETURN(std::optional<ArchiveEntry> entry, archive.Next());
  if (!entry.has_value() || entry->name != kFactsName) return Damaged("it is no backup of Kiln's");
  ASSIGN_OR_RETURN(const std::string facts_text, ReadText(archive, kMaxFactsBytes));
  ASSIGN_OR_RETURN(BackupFacts facts, DecodeFacts(facts_text));
  if (on_facts) {
    RETURN_IF_ERROR(on_facts(facts));
  }
  Sums found = {{kFactsName, base::HexOf(base::Sha256(base::AsBytes(facts_text)))}};
  for (;;) {
    ASSIGN_OR_RETURN(entry, archive.Next());
    if (!entry.has_value()) return Damaged(absl::StrCat("it has no ", kSumsName));
    if (entry->name == kSumsName) break;
    if (!IsBackupName(entry->name) || found.contains(entry->name)) {
      return Damaged(
          absl::StrCat(base::SafeText(entry->name, kMaxNameBytes), " does not belong into it"));
    }
    ContentSink sink;
    if (open) {
      ASSIGN_OR_RETURN(sink, open(entry->name));
    }
    ASSIGN_OR_RETURN(found[entry->name], ReadContent(archive, sink));
  }
  ASSIGN_OR_RETURN(const std::string sums_text, ReadText(archive, kMaxSumsBytes));
  ASSIGN_OR_RETURN(const Sums expected, DecodeSums(sums_text));
  ASSIGN_OR_RETURN(entry, archive.Next());
  if (entry.has_value()) return Damaged(absl::StrCat("something follows its ", kSumsName));
  RETURN_IF_ERROR(CompareSums(expected, found));
  if (!found.contains(kLedgerName)) return Damaged("it holds no ledger");
  return facts;
}

}  // namespace kiln::backup
