#include "daemon/identity/pattern.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace kiln::identity {

absl::StatusOr<std::string> ExpandPattern(absl::string_view pattern, const PatternValues& values) {
  std::string expanded;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '{' && c != '}') {
      expanded += c;
      continue;
    }
    if (i + 1 < pattern.size() && pattern[i + 1] == c) {
      expanded += c;
      ++i;
      continue;
    }
    const size_t end = c == '{' ? pattern.find('}', i) : pattern.npos;
    if (end == pattern.npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("brace without its partner at character ", i + 1, " of \"", pattern, "\""));
    }
    const absl::string_view name = pattern.substr(i + 1, end - i - 1);
    const auto value = std::find_if(values.begin(), values.end(),
                                    [name](const auto& entry) { return entry.first == name; });
    if (value == values.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown placeholder {", name, "} in \"", pattern, "\"; known are ",
                       absl::StrJoin(values, " ", [](std::string* out, const auto& entry) {
                         absl::StrAppend(out, "{", entry.first, "}");
                       })));
    }
    expanded += value->second;
    i = end;
  }
  return expanded;
}

bool IsMacAddress(absl::string_view mac) {
  if (mac.size() != 17) return false;
  for (size_t i = 0; i < mac.size(); ++i) {
    const char c = mac[i];
    const bool good = i % 3 == 2 ? c == ':' : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (!good) return false;
  }
  return true;
}

std::string Mac4(absl::string_view mac) {
  return absl::AsciiStrToUpper(absl::StrCat(mac.substr(12, 2), mac.substr(15, 2)));
}

}  // namespace kiln::identity
