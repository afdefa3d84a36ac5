#ifndef KILN_DAEMON_IDENTITY_TEXT_H_
#define KILN_DAEMON_IDENTITY_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace kiln::identity {

// What is wrong with `text` as one line of people's writing, in English without the text itself:
// "is empty", "has 201 characters; at most 200 are allowed". Empty when nothing is: 1 to
// `max_characters` Unicode code points of valid UTF-8 (RFC 3629), no control characters (category
// Cc), not only spaces.
std::string ProblemWithText(absl::string_view text, size_t max_characters);

}  // namespace kiln::identity

#endif  // KILN_DAEMON_IDENTITY_TEXT_H_
