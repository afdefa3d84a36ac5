#ifndef KILN_ERRORS_FAILURE_MESSAGE_H_
#define KILN_ERRORS_FAILURE_MESSAGE_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "errors/error.h"
#include "kiln/v1/errors.pb.h"

namespace kiln::errors {

// The catalogue's entry of `code` as a message of the contract, in every language. `detail` is made
// valid UTF-8 and cut to `max_detail_bytes`.
v1::Failure FailureMessage(ErrorCode code, absl::string_view detail, size_t max_detail_bytes);

}  // namespace kiln::errors

#endif  // KILN_ERRORS_FAILURE_MESSAGE_H_
