#ifndef KILN_DAEMON_IDENTITY_PATTERN_H_
#define KILN_DAEMON_IDENTITY_PATTERN_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kiln::identity {

// The values of a pattern's placeholders: name without braces, value.
using PatternValues = std::vector<std::pair<std::string, std::string>>;

// `pattern` with every {name} replaced by its value; values are not expanded again. {{ and }} stand
// for single braces. INVALID_ARGUMENT, naming the place, for a name that is not in `values` and for
// a brace without its partner.
absl::StatusOr<std::string> ExpandPattern(absl::string_view pattern, const PatternValues& values);

// Whether `mac` is six octets of two lower-case hexadecimal digits with colons between them.
bool IsMacAddress(absl::string_view mac);
// The last two octets as four upper-case digits: "7c:df:a1:00:be:01" gives "BE01". The MAC must be
// valid.
std::string Mac4(absl::string_view mac);

}  // namespace kiln::identity

#endif  // KILN_DAEMON_IDENTITY_PATTERN_H_
