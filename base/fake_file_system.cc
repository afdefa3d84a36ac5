#include "base/fake_file_system.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"

namespace kiln::base {

absl::Status FakeFileSystem::CountWrite() {
  if (write_error_.ok()) return absl::OkStatus();
  if (successes_left_ == 0) return write_error_;
  --successes_left_;
  return absl::OkStatus();
}

absl::Status FakeFileSystem::CheckParent(const std::string& path) const {
  const std::string parent = path.substr(0, path.rfind('/') + 1);
  if (files_.contains(parent)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("no folder ", parent));
}

absl::StatusOr<std::string> FakeFileSystem::ReadFile(const std::string& path, size_t max_bytes) {
  absl::MutexLock lock(&mutex_);
  const auto it = files_.find(path);
  if (it == files_.end()) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  if (it->second.size() > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " has more than the allowed ", max_bytes, " bytes"));
  }
  return it->second;
}

absl::Status FakeFileSystem::WriteFileAtomically(const std::string& path, absl::string_view content,
                                                 IfExists if_exists, uint32_t /*mode*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckParent(path));
  if (if_exists == IfExists::kFail && files_.contains(path)) {
    return absl::AlreadyExistsError(absl::StrCat("cannot create ", path));
  }
  RETURN_IF_ERROR(CountWrite());
  files_[path] = std::string(content);
  return absl::OkStatus();
}

absl::Status FakeFileSystem::AppendDurably(const std::string& path, absl::string_view header,
                                           absl::string_view line, uint32_t /*mode*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckParent(path));
  RETURN_IF_ERROR(CountWrite());
  std::string& content = files_[path];
  if (content.empty()) content = std::string(header);
  absl::StrAppend(&content, line);
  return absl::OkStatus();
}

absl::Status FakeFileSystem::CreateDirectories(const std::string& path, uint32_t /*mode*/) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CountWrite());
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    files_.try_emplace(path.substr(0, slash + 1));
  }
  files_.try_emplace(absl::StrCat(path, "/"));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FakeFileSystem::ListDirectory(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  const std::string prefix = absl::StrCat(path, "/");
  if (!files_.contains(prefix)) return absl::NotFoundError(absl::StrCat("cannot list ", path));
  std::vector<std::string> names;
  for (const auto& [name, content] : files_) {
    if (name == prefix || !absl::StartsWith(name, prefix)) continue;
    std::string rest = name.substr(prefix.size());
    const size_t slash = rest.find('/');
    if (slash != std::string::npos && slash + 1 != rest.size()) continue;
    if (slash != std::string::npos) rest.pop_back();
    names.push_back(std::move(rest));
  }
  return names;
}

bool FakeFileSystem::Exists(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  return files_.contains(path) || files_.contains(absl::StrCat(path, "/"));
}

absl::Status FakeFileSystem::RenameNoReplace(const std::string& from, const std::string& to) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckParent(to));
  if (files_.contains(to) || files_.contains(absl::StrCat(to, "/"))) {
    return absl::AlreadyExistsError(absl::StrCat("cannot rename to ", to));
  }
  RETURN_IF_ERROR(CountWrite());
  std::vector<std::pair<std::string, std::string>> moved;
  for (auto it = files_.begin(); it != files_.end();) {
    if (it->first == from || absl::StartsWith(it->first, absl::StrCat(from, "/"))) {
      moved.emplace_back(absl::StrCat(to, it->first.substr(from.size())), std::move(it->second));
      it = files_.erase(it);
    } else {
      ++it;
    }
  }
  if (moved.empty()) return absl::NotFoundError(absl::StrCat("cannot rename ", from));
  for (auto& [name, content] : moved) files_[name] = std::move(content);
  return absl::OkStatus();
}

absl::Status FakeFileSystem::RemoveAll(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  for (auto it = files_.begin(); it != files_.end();) {
    const bool inside = it->first == path || absl::StartsWith(it->first, absl::StrCat(path, "/"));
    it = inside ? files_.erase(it) : std::next(it);
  }
  return absl::OkStatus();
}

absl::Status FakeFileSystem::CheckWritable(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  if (!files_.contains(absl::StrCat(path, "/"))) {
    return absl::NotFoundError(absl::StrCat("no folder ", path));
  }
  if (!write_error_.ok() && successes_left_ == 0) return write_error_;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> FakeFileSystem::FreeBytes(const std::string& /*path*/) {
  absl::MutexLock lock(&mutex_);
  return free_bytes_;
}

void FakeFileSystem::FailWritesAfter(int successes, absl::Status error) {
  absl::MutexLock lock(&mutex_);
  successes_left_ = successes;
  write_error_ = std::move(error);
}

void FakeFileSystem::SetFreeBytes(uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  free_bytes_ = bytes;
}

}  // namespace kiln::base
