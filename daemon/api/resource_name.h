#ifndef KILN_DAEMON_API_RESOURCE_NAME_H_
#define KILN_DAEMON_API_RESOURCE_NAME_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kiln::api {

// The id in "deployments/{id}" for the collection "deployments": 1 to 128 letters, digits, '.',
// '_',
// '-' or ':'. RequestInvalid naming `field` otherwise.
absl::StatusOr<std::string> ParseResourceName(absl::string_view name, absl::string_view collection,
                                              absl::string_view field = "name");

// The id in "bundles/{id}", or the id or a prefix of it alone.
absl::StatusOr<std::string> BundleIdOf(const std::string& bundle, absl::string_view field);

// A UUID in its 36-character form, any version, as request ids are (AIP-155). RequestInvalid
// otherwise.
absl::Status CheckRequestId(absl::string_view request_id);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_RESOURCE_NAME_H_
