#ifndef KILN_DAEMON_FIRMWARE_BUILD_VALUE_HEADER_H_
#define KILN_DAEMON_FIRMWARE_BUILD_VALUE_HEADER_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "daemon/firmware/build/template.h"

namespace kiln::firmware {

// The header that carries values into C and C++: one macro each, KILN_GREETING for "greeting".
// Strings are string literals, integers are of type int, booleans are 1 or 0. This is the only way
// from a value into source text.
std::string RenderValueHeader(const std::vector<TemplateValue>& values);

// `text` as one string literal of C and C++, in every dialect: a byte that is not plainly itself is
// written as three octal digits, which no neighbour can lengthen. That covers quotes, backslashes,
// line ends, everything beyond ASCII, and the question marks of trigraphs.
std::string StringLiteral(absl::string_view text);

}  // namespace kiln::firmware

#endif  // KILN_DAEMON_FIRMWARE_BUILD_VALUE_HEADER_H_
