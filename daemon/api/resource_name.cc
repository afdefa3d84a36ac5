#include "daemon/api/resource_name.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "daemon/api/rpc_error.h"

namespace kiln::api {
namespace {

constexpr size_t kMaxIdBytes = 128;

bool IsId(absl::string_view id) {
  if (id.empty() || id.size() > kMaxIdBytes) return false;
  for (const char c : id) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != '-' && c != ':') return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::string> ParseResourceName(absl::string_view name, absl::string_view collection,
                                              absl::string_view field) {
  const std::string prefix = absl::StrCat(collection, "/");
  if (name.substr(0, prefix.size()) != prefix || !IsId(name.substr(prefix.size()))) {
    return FieldError(field, absl::StrCat("must be \"", prefix, "{id}\""));
  }
  return std::string(name.substr(prefix.size()));
}

absl::StatusOr<std::string> BundleIdOf(const std::string& bundle, absl::string_view field) {
  if (absl::StrContains(bundle, "/")) return ParseResourceName(bundle, "bundles", field);
  return ParseResourceName(absl::StrCat("bundles/", bundle), "bundles", field);
}

absl::Status CheckRequestId(absl::string_view request_id) {
  bool good = request_id.size() == 36;
  for (size_t i = 0; good && i < request_id.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    good = hyphen ? request_id[i] == '-' : absl::ascii_isxdigit(request_id[i]);
  }
  return good ? absl::OkStatus() : FieldError("request_id", "must be a UUID chosen by the client");
}

}  // namespace kiln::api
