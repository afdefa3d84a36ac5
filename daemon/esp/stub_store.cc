#include "daemon/esp/stub_store.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "daemon/esp/chip.h"
#include "nlohmann/json.hpp"

namespace kiln::esp {
namespace {

constexpr size_t kMaxFileBytes = size_t{1024} * 1024;
constexpr size_t kMaxPieceBytes = size_t{256} * 1024;
constexpr size_t kMaxFiles = 64;

absl::StatusOr<uint32_t> Word(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned() ||
      found->get<uint64_t>() > UINT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is no 32-bit number"));
  }
  return static_cast<uint32_t>(found->get<uint64_t>());
}

absl::StatusOr<std::vector<uint8_t>> Piece(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  std::string bytes;
  if (found == object.end() || !found->is_string() ||
      !absl::Base64Unescape(found->get_ref<const std::string&>(), &bytes) || bytes.empty() ||
      bytes.size() > kMaxPieceBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", key, "\" is no base64 text of 1 to ", kMaxPieceBytes, " bytes"));
  }
  return std::vector<uint8_t>(bytes.begin(), bytes.end());
}

}  // namespace

absl::StatusOr<StubImage> ParseStub(absl::string_view json) {
  const nlohmann::json object =
      nlohmann::json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("not a JSON object");
  StubImage stub;
  ASSIGN_OR_RETURN(stub.entry, Word(object, "entry"));
  ASSIGN_OR_RETURN(stub.text_start, Word(object, "text_start"));
  ASSIGN_OR_RETURN(stub.text, Piece(object, "text"));
  if (object.contains("data")) {
    ASSIGN_OR_RETURN(stub.data_start, Word(object, "data_start"));
    ASSIGN_OR_RETURN(stub.data, Piece(object, "data"));
  }
  return stub;
}

StubStore StubStore::Load(base::FileSystem& file_system, const std::string& folder) {
  StubStore store;
  if (folder.empty() || !file_system.Exists(folder)) return store;
  const absl::StatusOr<std::vector<std::string>> names = file_system.ListDirectory(folder);
  if (!names.ok()) {
    store.problems_.push_back(absl::StrCat(folder, ": ", names.status().message()));
    return store;
  }
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, ".json")) continue;
    if (store.stubs_.size() == kMaxFiles) {
      store.problems_.push_back(
          absl::StrCat(folder, ": more than ", kMaxFiles, " files, the rest is ignored"));
      break;
    }
    const std::string path = absl::StrCat(folder, "/", name);
    const absl::StatusOr<std::string> content = file_system.ReadFile(path, kMaxFileBytes);
    absl::StatusOr<StubImage> stub =
        content.ok() ? ParseStub(*content) : absl::StatusOr<StubImage>(content.status());
    if (!stub.ok()) {
      store.problems_.push_back(absl::StrCat(path, ": ", stub.status().message()));
      continue;
    }
    store.stubs_.emplace(std::string(absl::StripSuffix(name, ".json")), *std::move(stub));
  }
  return store;
}

const StubImage* StubStore::Find(absl::string_view name) const {
  const auto found = stubs_.find(std::string(name));
  return found == stubs_.end() ? nullptr : &found->second;
}

std::vector<Chip> StubStore::chips() const {
  std::vector<Chip> result;
  for (const Chip chip : AllChips()) {
    if (Find(TraitsOf(chip).stub_name) != nullptr) result.push_back(chip);
  }
  return result;
}

}  // namespace kiln::esp
