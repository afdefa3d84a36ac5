#include "daemon/api/page_token.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "daemon/api/rpc_error.h"

namespace kiln::api {
namespace {

constexpr char kVersion = 1;
constexpr size_t kDigestBytes = 8;
constexpr size_t kMaxTokenBytes = 400;

// Binds token and query, and makes a mistyped token recognisable.
std::string DigestOf(absl::string_view query, absl::string_view cursor) {
  const base::Sha256Digest digest =
      base::Sha256(base::AsBytes(absl::StrCat(query.size(), ":", query, cursor)));
  return std::string(base::AsChars(digest).substr(0, kDigestBytes));
}

}  // namespace

std::string MakePageToken(absl::string_view query, absl::string_view cursor) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(std::string(1, kVersion), DigestOf(query, cursor), cursor));
}

absl::StatusOr<std::string> ParsePageToken(absl::string_view token, absl::string_view query) {
  if (token.empty()) return std::string();
  std::string bytes;
  if (token.size() > kMaxTokenBytes || !absl::WebSafeBase64Unescape(token, &bytes) ||
      bytes.size() <= 1 + kDigestBytes || bytes[0] != kVersion) {
    return FieldError("page_token", "is not a token of this station");
  }
  std::string cursor = bytes.substr(1 + kDigestBytes);
  if (bytes.substr(1, kDigestBytes) != DigestOf(query, cursor)) {
    return FieldError("page_token", "belongs to another query");
  }
  return cursor;
}

absl::StatusOr<int> PageSize(int32_t requested, int default_size, int maximum) {
  if (requested < 0) return FieldError("page_size", "must not be negative");
  return requested == 0 ? default_size : std::min<int>(requested, maximum);
}

}  // namespace kiln::api
