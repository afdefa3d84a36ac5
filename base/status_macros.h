#ifndef KILN_BASE_STATUS_MACROS_H_
#define KILN_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_builder.h"

// Returns from the function when `expression` (an absl::Status) is not OK.
// Context may be added:
//   RETURN_IF_ERROR(stream.Write(frame)) << "sending SYNC to " << port;
// gives "sending SYNC to usb-1-2: <original message>", with the code and the
// payloads kept.
#define RETURN_IF_ERROR(expression)                                  \
  if (absl::Status kiln_status_ = (expression); kiln_status_.ok()) { \
  } else /* NOLINT(readability-else-after-return) */                 \
    return ::kiln::base::StatusBuilder(std::move(kiln_status_))

// Evaluates `expression` (an absl::StatusOr), returns from the function when it
// failed, otherwise assigns the value to `lhs`, which may declare a variable.
// An optional third argument adds context through the builder `_`:
//   ASSIGN_OR_RETURN(Image image, ParseImage(bytes), _ << "bootloader");
#define ASSIGN_OR_RETURN(...)                                                                 \
  KILN_MACRO_SELECT_(__VA_ARGS__, KILN_ASSIGN_OR_RETURN_3_, KILN_ASSIGN_OR_RETURN_2_, unused) \
  (__VA_ARGS__)

#define KILN_MACRO_SELECT_(a1, a2, a3, name, ...) name
#define KILN_ASSIGN_OR_RETURN_2_(lhs, expression) KILN_ASSIGN_OR_RETURN_3_(lhs, expression, _)
#define KILN_ASSIGN_OR_RETURN_3_(lhs, expression, error) \
  KILN_ASSIGN_OR_RETURN_IMPL_(KILN_CONCAT_(kiln_status_or_, __LINE__), lhs, expression, error)
// NOLINTBEGIN(bugprone-macro-parentheses): a name and a declaration cannot stand in parentheses.
#define KILN_ASSIGN_OR_RETURN_IMPL_(status_or, lhs, expression, error)             \
  auto status_or = (expression);                                                   \
  if (!status_or.ok()) {                                                           \
    [[maybe_unused]] ::kiln::base::StatusBuilder _(std::move(status_or).status()); \
    return error;                                                                  \
  }                                                                                \
  lhs = *std::move(status_or)
// NOLINTEND(bugprone-macro-parentheses)
#define KILN_CONCAT_(a, b) KILN_CONCAT_IMPL_(a, b)
#define KILN_CONCAT_IMPL_(a, b) a##b

#endif  // KILN_BASE_STATUS_MACROS_H_
