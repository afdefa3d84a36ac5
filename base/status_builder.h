#ifndef KILN_BASE_STATUS_BUILDER_H_
#define KILN_BASE_STATUS_BUILDER_H_

#include <sstream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kiln::base {

// Returns `status` with "`context`: " in front of its message; code and
// payloads stay. OK and empty contexts pass through unchanged.
absl::Status WithContext(const absl::Status& status, const std::string& context);

// What RETURN_IF_ERROR and ASSIGN_OR_RETURN return: a failed status that
// collects context by `<<` on its way up. Lives for one expression, on one
// thread.
class StatusBuilder {
 public:
  explicit StatusBuilder(absl::Status status) : status_(std::move(status)) {}

  template <typename T>
  StatusBuilder& operator<<(const T& value) & {
    context_ << value;
    return *this;
  }
  template <typename T>
  StatusBuilder&& operator<<(const T& value) && {
    context_ << value;
    return std::move(*this);
  }

  operator absl::Status() const {  // NOLINT(google-explicit-constructor): the macros rely on it.
    return WithContext(status_, context_.str());
  }
  template <typename T>
  operator absl::StatusOr<T>() const {  // NOLINT(google-explicit-constructor)
    return WithContext(status_, context_.str());
  }

 private:
  absl::Status status_;
  std::ostringstream context_;
};

}  // namespace kiln::base

#endif  // KILN_BASE_STATUS_BUILDER_H_
