#ifndef KILN_DAEMON_FIRMWARE_PACKAGE_JSON_H_
#define KILN_DAEMON_FIRMWARE_PACKAGE_JSON_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

// Reading JSON that came from outside: bounded in size and depth, and no member is believed to have
// the type it should have. Errors are BundleInvalid and name the file.

namespace kiln::firmware {

// At most 8 MiB and 32 levels; the outermost value must be an object.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text, absl::string_view file);

// Member `key` of `object` when both are of that kind, otherwise null; for optional facts.
const nlohmann::json* FindObject(const nlohmann::json& object, const char* key);
const nlohmann::json* FindArray(const nlohmann::json& object, const char* key);
std::string FindText(const nlohmann::json& object, const char* key);  // "" without

// A flash offset: an unsigned integer, or a string of decimal or 0x-hexadecimal digits, as the
// tools write both. `what` names the member in the error.
absl::StatusOr<uint32_t> ParseOffset(const nlohmann::json& value, absl::string_view file,
                                     absl::string_view what);
absl::StatusOr<uint32_t> ParseOffsetText(absl::string_view text, absl::string_view file,
                                         absl::string_view what);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_PACKAGE_JSON_H_
