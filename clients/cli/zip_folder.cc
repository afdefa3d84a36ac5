#include "clients/cli/zip_folder.h"

#include <zip.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/file_system.h"
#include "base/status_macros.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

// Deep enough for esp-idf's build/bootloader/ and for .pio/build/<env>/ taken from the project
// folder.
constexpr int kMaxDepth = 3;
// As deep as a station unpacks.
constexpr int kMaxTemplateDepth = 8;
// 1980-01-01, the earliest time a zip can hold: the same files make the same zip.
constexpr time_t kFixedTime = 315532800;

// What is taken from a folder.
struct Selection {
  int max_depth;
  bool (*wants_folder)(const fs::path&);
  bool (*wants_file)(const fs::path&);
};

bool IsHidden(const fs::path& path) { return path.filename().string().front() == '.'; }

constexpr Selection kBuildResults = {
    kMaxDepth, [](const fs::path& path) { return path.filename() != "CMakeFiles"; },
    [](const fs::path& path) {
      const std::string extension = path.extension().string();
      return extension == ".json" || extension == ".bin" || extension == ".txt";
    }};
constexpr Selection kTemplateSources = {kMaxTemplateDepth,
                                        [](const fs::path& path) { return !IsHidden(path); },
                                        [](const fs::path& path) { return !IsHidden(path); }};

absl::StatusOr<std::vector<fs::path>> FindFiles(const std::string& folder,
                                                const Selection& selection) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  if (error)
    return absl::NotFoundError(absl::StrCat("cannot read ", folder, ": ", error.message()));
  for (; it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (error) return absl::InternalError(absl::StrCat("reading ", folder, ": ", error.message()));
    if (it->is_directory(error)) {
      if (it.depth() >= selection.max_depth || !selection.wants_folder(it->path()) ||
          it->is_symlink(error)) {
        it.disable_recursion_pending();
      }
    } else if (it->is_regular_file(error) && !it->is_symlink(error) &&
               selection.wants_file(it->path())) {
      files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

absl::StatusOr<std::string> Zip(const std::string& folder, const std::vector<fs::path>& files,
                                uint64_t max_bytes) {
  zip_error_t error;
  zip_error_init(&error);
  auto free_error = absl::MakeCleanup([&error] { zip_error_fini(&error); });
  zip_source_t* buffer = zip_source_buffer_create(nullptr, 0, 0, &error);
  if (buffer == nullptr) return absl::InternalError(zip_error_strerror(&error));
  auto free_buffer = absl::MakeCleanup([buffer] { zip_source_free(buffer); });
  zip_source_keep(buffer);
  std::unique_ptr<zip_t, decltype(&zip_discard)> archive(
      zip_open_from_source(buffer, ZIP_TRUNCATE, &error), &zip_discard);
  if (archive == nullptr) {
    zip_source_free(buffer);  // the reference kept for the archive
    return absl::InternalError(zip_error_strerror(&error));
  }

  // The archive reads the contents when it is closed, so they stay here until then.
  std::vector<std::string> contents;
  contents.reserve(files.size());
  uint64_t total = 0;
  for (const fs::path& file : files) {
    ASSIGN_OR_RETURN(std::string content,
                     base::SystemFileSystem().ReadFile(file.string(), max_bytes - total));
    total += content.size();
    contents.push_back(std::move(content));
    const std::string name = file.lexically_relative(folder).generic_string();
    zip_source_t* source =
        zip_source_buffer(archive.get(), contents.back().data(), contents.back().size(), 0);
    const zip_int64_t index =
        source == nullptr ? -1
                          : zip_file_add(archive.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      return absl::InternalError(absl::StrCat("cannot add ", name, " to the zip"));
    }
    zip_file_set_mtime(archive.get(), static_cast<zip_uint64_t>(index), kFixedTime, 0);
  }
  zip_t* const closing = archive.release();
  if (zip_close(closing) != 0) {
    archive.reset(closing);
    return absl::InternalError(absl::StrCat("cannot make the zip: ", zip_strerror(closing)));
  }

  zip_stat_t info;
  if (zip_source_stat(buffer, &info) != 0 || zip_source_open(buffer) != 0) {
    return absl::InternalError("cannot read the zip back");
  }
  std::string result(info.size, '\0');
  const zip_int64_t got = zip_source_read(buffer, result.data(), result.size());
  zip_source_close(buffer);
  if (got != static_cast<zip_int64_t>(result.size())) {
    return absl::InternalError("cannot read the zip back");
  }
  return result;
}

}  // namespace

absl::StatusOr<std::string> ZipFolder(const std::string& folder, uint64_t max_bytes) {
  ASSIGN_OR_RETURN(const std::vector<fs::path> files, FindFiles(folder, kBuildResults));
  if (files.empty()) {
    return absl::NotFoundError(absl::StrCat(folder, " holds no .json, .bin or .txt files"));
  }
  return Zip(folder, files, max_bytes);
}

absl::StatusOr<std::string> ZipTemplate(const std::string& folder, uint64_t max_bytes) {
  ASSIGN_OR_RETURN(const std::vector<fs::path> files, FindFiles(folder, kTemplateSources));
  if (files.empty()) return absl::NotFoundError(absl::StrCat(folder, " holds no files"));
  return Zip(folder, files, max_bytes);
}

}  // namespace kiln::cli
