#include "daemon/firmware/package_json.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/firmware/package.h"
#include "errors/error.h"
#include "nlohmann/json.hpp"

namespace kiln::firmware {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using nlohmann::json;

constexpr size_t kMaxJsonBytes = size_t{8} << 20;
constexpr int kMaxDepth = 32;

// The offset at which `text` nests deeper than allowed, or npos. Brackets in strings do not count.
size_t TooDeepAt(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return i;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return absl::string_view::npos;
}

const json* FindMember(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

}  // namespace

absl::StatusOr<json> ParseJsonObject(absl::string_view text, absl::string_view file) {
  if (text.size() > kMaxJsonBytes) {
    return MakeError(ErrorCode::kBundleInvalid,
                     absl::StrCat(file, ": more than ", kMaxJsonBytes, " bytes of JSON"));
  }
  if (const size_t at = TooDeepAt(text); at != absl::string_view::npos) {
    return MakeError(ErrorCode::kBundleInvalid,
                     absl::StrCat(file, " at 0x", absl::Hex(at), ": JSON nested too deep"));
  }
  json value = json::parse(text.begin(), text.end(), nullptr, false);
  if (!value.is_object()) {
    return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(file, ": not a JSON object"));
  }
  return value;
}

const json* FindObject(const json& object, const char* key) {
  const json* member = FindMember(object, key);
  return member != nullptr && member->is_object() ? member : nullptr;
}

const json* FindArray(const json& object, const char* key) {
  const json* member = FindMember(object, key);
  return member != nullptr && member->is_array() ? member : nullptr;
}

std::string FindText(const json& object, const char* key) {
  const json* member = FindMember(object, key);
  return member != nullptr && member->is_string() ? member->get_ref<const std::string&>() : "";
}

absl::StatusOr<uint32_t> ParseOffsetText(absl::string_view text, absl::string_view file,
                                         absl::string_view what) {
  uint32_t offset = 0;
  const bool hex = absl::StartsWithIgnoreCase(text, "0x");
  if (hex ? absl::SimpleHexAtoi(text, &offset) : absl::SimpleAtoi(text, &offset)) return offset;
  return MakeError(ErrorCode::kBundleInvalid,
                   absl::StrCat(file, ": ", what, " \"", CleanText(text, 40), "\" is no offset"));
}

absl::StatusOr<uint32_t> ParseOffset(const json& value, absl::string_view file,
                                     absl::string_view what) {
  if (value.is_string()) {
    return ParseOffsetText(value.get_ref<const std::string&>(), file, what);
  }
  // Negative integers are another type of value.
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    if (number <= std::numeric_limits<uint32_t>::max()) return static_cast<uint32_t>(number);
  }
  return MakeError(ErrorCode::kBundleInvalid, absl::StrCat(file, ": ", what, " is no offset"));
}

}  // namespace kiln::firmware
