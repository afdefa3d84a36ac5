#include "daemon/records/record.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "nlohmann/json.hpp"

namespace kiln::records {
namespace {

using base::FileSystem;
using errors::ErrorCode;

// A day's CSV: at 400 bytes a line more than 100 000 boards.
constexpr size_t kMaxCsvBytes = 48u << 20;
// Deployments of one board for one customer on one day.
constexpr int kMaxSameNames = 1000;

// The disk's error in the words of the catalogue.
absl::Status WriteError(const absl::Status& status, const std::string& folder) {
  if (absl::IsResourceExhausted(status)) return errors::TypedAs(ErrorCode::kDiskFull, status);
  if (absl::IsPermissionDenied(status)) {
    return errors::MakeError(
        ErrorCode::kRecordWriteFailed,
        absl::StrCat(
            "the export folder ", folder,
            " is read-only or the station's user may not write there: ", status.message()));
  }
  return errors::TypedAs(ErrorCode::kRecordWriteFailed, status);
}

// What becomes part of a path or must be there is checked here again, whoever calls.
absl::Status CheckData(const RecordData& data) {
  const auto all = [](absl::string_view text, auto good) {
    return !text.empty() && std::all_of(text.begin(), text.end(), good);
  };
  const std::string mac = absl::StrReplaceAll(data.mac, {{":", ""}});
  if (data.customer_id.size() > 10 || !all(data.customer_id, [](char c) {
        return absl::ascii_isdigit(c) || absl::ascii_isupper(c);
      })) {
    return absl::InternalError("a record needs a valid customer id");
  }
  const bool has_mac = mac.size() == 12 && all(mac, [](char c) { return absl::ascii_isxdigit(c); });
  if (!has_mac && (data.outcome == Outcome::kSucceeded || !data.mac.empty())) {
    return absl::InternalError("a record needs a valid MAC");
  }
  if (!all(data.deployment_id, [](char c) { return absl::ascii_isalnum(c) || c == '-'; })) {
    return absl::InternalError("a record needs a valid deployment id");
  }
  if (data.deployed_at == absl::InfinitePast() || data.deployed_at == absl::InfiniteFuture()) {
    return absl::InternalError("a record needs the time of its deployment");
  }
  return absl::OkStatus();
}

// Whether `content` is the record to be written. A deployment succeeds once, so a success is its
// record whichever attempt wrote it: an earlier one may have got as far as this file.
bool IsRecordOf(const std::string& content, const RecordData& data) {
  const nlohmann::json record =
      nlohmann::json::parse(content, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!record.is_object()) return false;
  const auto kiln = record.find("kiln");
  if (kiln == record.end() || !kiln->is_object()) return false;
  const auto id = kiln->find("deployment_id");
  const auto attempt = kiln->find("attempt");
  if (id == kiln->end() || *id != data.deployment_id) return false;
  if (data.outcome == Outcome::kSucceeded) return true;
  return attempt != kiln->end() && *attempt == data.attempt;
}

// Whether the CSV has the complete line of this deployment, from any attempt, also after a
// spreadsheet has saved it with other quotes and line ends.
bool HasLineOf(absl::string_view csv, const RecordData& data) {
  const std::string notes = CsvNotesOf(data.deployment_id);
  for (size_t at = csv.find(notes); at != csv.npos; at = csv.find(notes, at + 1)) {
    absl::string_view rest = csv.substr(at + notes.size());
    const size_t end = rest.find_first_not_of("0123456789");
    if (end == 0 || end == rest.npos) continue;
    rest.remove_prefix(end);
    // At the very end it may be torn: "attempt 1" of "attempt 12", or a CR without its LF.
    if (absl::StartsWith(rest, "\r\n")) return true;
    if (absl::string_view("\",;\n").find(rest[0]) != rest.npos) return true;
  }
  return false;
}

}  // namespace

RecordWriter::RecordWriter(FileSystem& files, RecordOptions options)
    : files_(files), options_(std::move(options)) {}

absl::Status RecordWriter::EnsureFolder(const std::string& folder) {
  if (files_.Exists(folder)) return absl::OkStatus();
  return WriteError(files_.CreateDirectories(folder, options_.folder_mode), folder);
}

absl::StatusOr<std::string> RecordWriter::WriteRecord(const RecordData& data) {
  RETURN_IF_ERROR(CheckData(data));
  const bool success = data.outcome == Outcome::kSucceeded;
  const std::string folder =
      success ? options_.export_directory : absl::StrCat(options_.export_directory, "/failed");
  const std::string day = absl::FormatTime("%Y-%m-%d", data.deployed_at, options_.time_zone);

  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(EnsureFolder(folder));
  ASSIGN_OR_RETURN(std::string path, WriteJson(data, folder, day));
  if (success) {
    RETURN_IF_ERROR(AppendCsvLine(data, day));
  }
  return path;
}

absl::StatusOr<std::string> RecordWriter::WriteJson(const RecordData& data,
                                                    const std::string& folder,
                                                    const std::string& day) {
  const std::string content = RecordToJson(data, options_.time_zone, options_.tool_version);
  const std::string mac = data.mac.empty()
                              ? "unknown"
                              : absl::AsciiStrToLower(absl::StrReplaceAll(data.mac, {{":", ""}}));
  const std::string stem = absl::StrCat(folder, "/customer-", data.customer_id, "-", day, "-", mac);
  for (int number = 1; number <= kMaxSameNames; ++number) {
    std::string path = absl::StrCat(stem, number == 1 ? "" : absl::StrCat("-", number), ".json");
    if (!files_.Exists(path)) {
      const absl::Status status = files_.WriteFileAtomically(
          path, content, FileSystem::IfExists::kFail, options_.file_mode);
      if (status.ok()) return path;
      // Somebody else's file came in between.
      if (absl::IsAlreadyExists(status)) continue;
      return WriteError(status, folder);
    }
    // What cannot be read is not ours to judge; it keeps its name.
    const auto existing = files_.ReadFile(path, kMaxRecordBytes);
    if (existing.ok() && IsRecordOf(*existing, data)) return path;
  }
  return errors::MakeError(
      ErrorCode::kRecordWriteFailed,
      absl::StrCat("all names up to ", stem, "-", kMaxSameNames, ".json are taken"));
}

absl::Status RecordWriter::AppendCsvLine(const RecordData& data, const std::string& day) {
  const std::string& folder = options_.export_directory;
  const std::string path = absl::StrCat(folder, "/esp32-deployments-", day, ".csv");
  const std::string header =
      absl::StrCat(options_.csv_byte_order_mark ? "\xef\xbb\xbf" : "", CsvHeader());
  const std::string line = RecordToCsvLine(data, options_.time_zone);

  std::string content;
  if (files_.Exists(path)) {
    auto read = files_.ReadFile(path, kMaxCsvBytes);
    if (absl::IsResourceExhausted(read.status())) {
      // Not the disk is full but this file.
      return errors::MakeError(ErrorCode::kRecordWriteFailed, read.status().message());
    }
    if (!read.ok()) return WriteError(read.status(), folder);
    content = *std::move(read);
  }
  if (HasLineOf(content, data)) return absl::OkStatus();

  // A power cut may have left the beginning of the header or of this very line; an editor may have
  // left the last line without its end.
  const size_t last_end = content.rfind('\n');
  const std::string tail = content.substr(last_end == std::string::npos ? 0 : last_end + 1);
  const std::string whole =
      last_end == std::string::npos ? absl::StrCat(header, line) : std::string(line);
  if (!tail.empty() && absl::StartsWith(whole, tail)) {
    content.resize(content.size() - tail.size());
    return WriteError(
        files_.WriteFileAtomically(path, absl::StrCat(content, whole),
                                   FileSystem::IfExists::kReplace, options_.file_mode),
        folder);
  }
  return WriteError(
      files_.AppendDurably(path, header, absl::StrCat(tail.empty() ? "" : "\r\n", line),
                           options_.file_mode),
      folder);
}

absl::Status RecordWriter::CheckWritable() {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(EnsureFolder(options_.export_directory));
  return WriteError(files_.CheckWritable(options_.export_directory), options_.export_directory);
}

}  // namespace kiln::records
