#ifndef KILN_BASE_SAFE_TEXT_H_
#define KILN_BASE_SAFE_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace kiln::base {

// `text` as valid UTF-8 without control characters (line feeds stay), cut at a character boundary
// to at most `max_bytes`; what is not valid becomes '?'. For text from outside that ends in a
// message, a record or a terminal: proto3 serialises strings that are not UTF-8 but never parses
// them again.
std::string SafeText(absl::string_view text, size_t max_bytes);

}  // namespace kiln::base

#endif  // KILN_BASE_SAFE_TEXT_H_
