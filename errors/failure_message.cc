#include "errors/failure_message.h"

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "base/safe_text.h"
#include "errors/error.h"

namespace kiln::errors {
namespace {

void AddText(v1::Failure& failure, const char* language, const Text& text) {
  v1::FailureText& added = *failure.add_texts();
  added.set_language(language);
  added.set_message(text.message);
  for (const std::string& tip : text.tips) added.add_tips(tip);
}

}  // namespace

v1::Failure FailureMessage(ErrorCode code, absl::string_view detail, size_t max_detail_bytes) {
  const CatalogueEntry& entry = Lookup(code);
  const ClassTraits& traits = TraitsOf(entry.error_class);
  v1::Failure failure;
  failure.set_code(std::string(entry.name));
  failure.set_error_class(std::string(traits.name));
  failure.set_legacy_type(std::string(traits.legacy_type));
  failure.set_detail(base::SafeText(detail, max_detail_bytes));
  failure.set_retryable(entry.retryable);
  failure.set_icon(std::string(traits.icon));
  failure.set_colour(std::string(traits.colour));
  AddText(failure, "en", entry.english);
  AddText(failure, "th", entry.thai);
  return failure;
}

}  // namespace kiln::errors
