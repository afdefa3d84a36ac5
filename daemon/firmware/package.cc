#include "daemon/firmware/package.h"

#include <sys/stat.h>
#include <zip.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "errors/error.h"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;

constexpr size_t kMaxPathBytes = 512;
constexpr size_t kMaxPathDepth = 16;
constexpr size_t kReadBytes = size_t{64} * 1024;

absl::Status Invalid(absl::string_view detail) {
  return MakeError(ErrorCode::kBundleInvalid, detail);
}

// Whether `path` (of a file, or of a folder with its final '/') names something inside the package.
absl::Status CheckEntryPath(absl::string_view path) {
  const std::string shown = CleanText(path);
  if (path.empty() || path.size() > kMaxPathBytes) {
    return Invalid(absl::StrCat("the zip has a path of ", path.size(), " bytes"));
  }
  if (path.front() == '/') return Invalid(absl::StrCat("absolute path in the zip: ", shown));
  for (const char c : path) {
    if (c == '\\' || c == ':' || absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return Invalid(absl::StrCat("forbidden character in a path of the zip: ", shown));
    }
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(absl::StripSuffix(path, "/"), '/');
  if (parts.size() > kMaxPathDepth) {
    return Invalid(absl::StrCat("more than ", kMaxPathDepth, " folders deep in the zip: ", shown));
  }
  for (const absl::string_view part : parts) {
    if (part.empty() || part == "." || part == "..") {
      return Invalid(absl::StrCat("path leaves its folder in the zip: ", shown));
    }
  }
  return absl::OkStatus();
}

bool IsSymlink(zip_t* archive, zip_uint64_t index) {
  zip_uint8_t system = 0;
  zip_uint32_t attributes = 0;
  if (zip_file_get_external_attributes(archive, index, 0, &system, &attributes) != 0) return false;
  return system == ZIP_OPSYS_UNIX && S_ISLNK(attributes >> 16);
}

// Reads one entry, counting what really comes out: the sizes in the zip are claims.
absl::StatusOr<std::string> ReadEntry(zip_t* archive, zip_uint64_t index, const std::string& path,
                                      uint64_t budget) {
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive, index, 0),
                                                               &zip_fclose);
  if (file == nullptr) return Invalid(absl::StrCat(path, ": ", zip_strerror(archive)));
  std::string content;
  std::vector<char> buffer(kReadBytes);
  for (;;) {
    const zip_int64_t got = zip_fread(file.get(), buffer.data(), buffer.size());
    if (got < 0) {
      return Invalid(absl::StrCat(path, " at 0x", absl::Hex(content.size()),
                                  ": the zip is damaged: ", zip_file_strerror(file.get())));
    }
    if (got == 0) return content;
    if (content.size() + static_cast<uint64_t>(got) > budget) {
      return MakeError(ErrorCode::kBundleTooLarge,
                       absl::StrCat(path, ": the zip unpacks to more than the station accepts"));
    }
    content.append(buffer.data(), static_cast<size_t>(got));
  }
}

absl::Status CheckEntryKind(zip_t* archive, zip_uint64_t index, const zip_stat_t& stat,
                            const std::string& path) {
  if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE) {
    return MakeError(ErrorCode::kBundleUnsupported, absl::StrCat(path, ": encrypted zip entry"));
  }
  // Deflate cannot expand more than 1032 times; stronger methods make worse bombs and nobody's
  // build tool uses them.
  if ((stat.valid & ZIP_STAT_COMP_METHOD) == 0 ||
      (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)) {
    return MakeError(ErrorCode::kBundleUnsupported,
                     absl::StrCat(path, ": compression method ", stat.comp_method));
  }
  if (IsSymlink(archive, index)) return Invalid(absl::StrCat(path, ": symbolic link in the zip"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Package> Package::Open(absl::string_view bytes, absl::string_view file_name,
                                      const ImportLimits& limits) {
  if (bytes.size() > limits.max_package_bytes) {
    return MakeError(ErrorCode::kBundleTooLarge,
                     absl::StrCat("the package has ", bytes.size(), " bytes, the station accepts ",
                                  limits.max_package_bytes));
  }
  if (bytes.empty()) return Invalid("the package is empty");
  // Local file header, or the end record of an empty zip (APPNOTE.TXT 4.3.7, 4.3.16).
  if (absl::StartsWith(bytes, "PK\x03\x04") || absl::StartsWith(bytes, "PK\x05\x06")) {
    return Unzip(bytes, limits);
  }
  if (absl::EndsWithIgnoreCase(file_name, ".zip")) {
    return Invalid(absl::StrCat(CleanText(BaseName(file_name)), " at 0x0: no zip starts here"));
  }
  std::string name = CleanText(BaseName(file_name));
  if (name.empty()) name = "image.bin";
  Package package;
  package.files_.emplace(std::move(name), std::string(bytes));
  return package;
}

Package Package::FromFiles(std::map<std::string, std::string> files) {
  Package package;
  package.files_ = std::move(files);
  return package;
}

absl::StatusOr<Package> Package::Unzip(absl::string_view bytes, const ImportLimits& limits) {
  zip_error_t error;
  zip_error_init(&error);
  const auto free_error = absl::MakeCleanup([&error] { zip_error_fini(&error); });
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (source == nullptr) return absl::InternalError(zip_error_strerror(&error));
  const std::unique_ptr<zip_t, void (*)(zip_t*)> archive(
      zip_open_from_source(source, ZIP_RDONLY, &error), &zip_discard);
  if (archive == nullptr) {
    zip_source_free(source);
    return Invalid(absl::StrCat("the zip is damaged: ", zip_error_strerror(&error)));
  }
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  if (count > limits.max_files) {
    return MakeError(
        ErrorCode::kBundleTooLarge,
        absl::StrCat("the zip has ", count, " files, the station accepts ", limits.max_files));
  }
  Package package;
  package.is_zip_ = true;
  uint64_t budget = limits.max_unpacked_bytes;
  for (zip_uint64_t index = 0; index < static_cast<zip_uint64_t>(count); ++index) {
    zip_stat_t stat;
    if (zip_stat_index(archive.get(), index, ZIP_FL_ENC_RAW, &stat) != 0 ||
        (stat.valid & ZIP_STAT_NAME) == 0) {
      return Invalid(absl::StrCat("zip entry ", index, ": ", zip_strerror(archive.get())));
    }
    const std::string path = stat.name;
    RETURN_IF_ERROR(CheckEntryPath(path));
    const std::string shown = CleanText(path);
    RETURN_IF_ERROR(CheckEntryKind(archive.get(), index, stat, shown));
    if (absl::EndsWith(path, "/")) continue;
    if (package.files_.contains(path)) {
      return Invalid(absl::StrCat(shown, ": twice in the zip"));
    }
    ASSIGN_OR_RETURN(std::string content, ReadEntry(archive.get(), index, shown, budget));
    budget -= content.size();
    package.files_.emplace(path, std::move(content));
  }
  if (package.files_.empty()) return Invalid("the zip is empty");
  return package;
}

std::optional<absl::string_view> Package::Find(absl::string_view path) const {
  const auto it = files_.find(std::string(path));
  if (it == files_.end()) return std::nullopt;
  return it->second;
}

absl::StatusOr<std::string> Package::Resolve(absl::string_view folder, absl::string_view path,
                                             absl::string_view named_in) const {
  const std::string shown = absl::StrCat(named_in, " names \"", CleanText(path), "\"");
  if (path.empty() || path.size() > kMaxPathBytes || path.front() == '/' ||
      path.find_first_of(absl::string_view("\\:\0", 3)) != absl::string_view::npos) {
    return Invalid(absl::StrCat(shown, ": not a path inside the package"));
  }
  std::vector<absl::string_view> parts = absl::StrSplit(folder, '/', absl::SkipEmpty());
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == ".") continue;
    if (part.empty()) return Invalid(absl::StrCat(shown, ": not a path inside the package"));
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      return Invalid(absl::StrCat(shown, ": outside the package"));
    } else {
      parts.pop_back();
    }
  }
  std::string resolved = absl::StrJoin(parts, "/");
  if (!files_.contains(resolved)) {
    return Invalid(absl::StrCat(shown, ": no such file in the package"));
  }
  return resolved;
}

std::vector<std::string> Package::FindByName(absl::string_view name, int max_depth) const {
  std::vector<std::string> found;
  int best = max_depth;
  for (const auto& [path, content] : files_) {
    if (BaseName(path) != name) continue;
    const int depth = static_cast<int>(std::count(path.begin(), path.end(), '/'));
    if (depth > best) continue;
    if (depth < best) found.clear();
    best = depth;
    found.push_back(path);
  }
  return found;
}

std::string FolderOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? "" : std::string(path.substr(0, slash));
}

std::string BaseName(absl::string_view path) {
  const size_t slash = path.find_last_of("/\\");
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

std::string JoinPath(absl::string_view folder, absl::string_view name) {
  return folder.empty() ? std::string(name) : absl::StrCat(folder, "/", name);
}

namespace {

// Length of the well-formed UTF-8 sequence at the start of `text` (RFC 3629), 0 when there is none.
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) length = 2;
  if (byte(0) >= 0xE0 && byte(0) <= 0xEF) length = 3;
  if (byte(0) >= 0xF0 && byte(0) <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  if (byte(0) == 0xE0) low = 0xA0;
  if (byte(0) == 0xED) high = 0x9F;  // no surrogates
  if (byte(0) == 0xF0) low = 0x90;
  if (byte(0) == 0xF4) high = 0x8F;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) < low || byte(i) > high) return 0;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

}  // namespace

std::string CleanText(absl::string_view text, size_t max_bytes) {
  std::string clean;
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    // C1 controls (U+0080 to U+009F) are two bytes that start with C2.
    const bool control =
        (length == 1 && absl::ascii_iscntrl(static_cast<unsigned char>(text[0]))) ||
        (length == 2 && text[0] == '\xC2' && static_cast<uint8_t>(text[1]) < 0xA0);
    const bool keep = length > 0 && !control;
    const absl::string_view next = keep ? text.substr(0, length) : absl::string_view("?");
    if (clean.size() + next.size() > max_bytes) break;
    clean.append(next.data(), next.size());
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return clean;
}

}  // namespace kiln::firmware
