#ifndef KILN_DAEMON_API_PAGE_TOKEN_H_
#define KILN_DAEMON_API_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kiln::api {

// Pages as AIP-158 has them: a token is opaque, url-safe, says where the next page begins, and
// belongs to one query. It carries no authority; it only keeps honest clients from mixing up
// queries.

// `query` identifies the query: the bytes of the request without page size and token. `cursor` is
// whatever the list needs to go on, at most 256 bytes.
std::string MakePageToken(absl::string_view query, absl::string_view cursor);

// The cursor in `token`; empty for an empty token, which asks for the first page. RequestInvalid
// when the token is not one of ours or belongs to another query.
absl::StatusOr<std::string> ParsePageToken(absl::string_view token, absl::string_view query);

// `requested`, or `default_size` for 0, at most `maximum`. RequestInvalid when negative.
absl::StatusOr<int> PageSize(int32_t requested, int default_size, int maximum = 1000);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_PAGE_TOKEN_H_
