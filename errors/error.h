#ifndef KILN_ERRORS_ERROR_H_
#define KILN_ERRORS_ERROR_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::errors {

// Groups of errors as the person sees them: one icon and colour each.
enum class ErrorClass {
  kNetwork,
  kFirmware,
  kFlash,
  kBoard,
  kFileSystem,
  kValidation,
  kTimeout,
  kInternal,
};

// Every error in errors/catalogue.inc.
enum class ErrorCode {
#define KILN_ERROR(name, ...) k##name,
#include "errors/catalogue.inc"
#undef KILN_ERROR
};

enum class Language { kEnglish, kThai };

struct Text {
  std::string message;
  std::vector<std::string> tips;
};

struct CatalogueEntry {
  ErrorCode code;
  absl::string_view name;  // upper snake, as the API shows it: "PORT_BUSY"
  ErrorClass error_class;
  bool retryable;
  Text english;
  Text thai;

  const Text& In(Language language) const;
};

struct ClassTraits {
  absl::string_view name;         // "FLASH"
  absl::string_view legacy_type;  // the source documents' name: "PLATFORMIO_ERROR"
  absl::string_view icon;         // one emoji
  absl::string_view colour;       // "red", "yellow" or "blue"
};

// All entries in the order of the catalogue.
absl::Span<const CatalogueEntry> Catalogue();
const CatalogueEntry& Lookup(ErrorCode code);
std::optional<ErrorCode> ParseErrorCode(absl::string_view name);
const ClassTraits& TraitsOf(ErrorClass error_class);

// A status that carries `code`, so that nobody has to guess it from text.
// `detail` is for logs and the "details" line: English, without secrets. The
// canonical code follows from the error.
absl::Status MakeError(ErrorCode code, absl::string_view detail);
// The same message and payloads, typed as `code`, unless the status is OK or
// typed already.
absl::Status TypedAs(ErrorCode code, const absl::Status& status);
// The carried code. Untyped statuses: DEADLINE_EXCEEDED is StepTimedOut,
// CANCELLED is CancelledByOperator, anything else Internal. The status must not
// be OK.
ErrorCode CodeOf(const absl::Status& status);
// Whether `status` carries exactly `code`.
bool Is(const absl::Status& status, ErrorCode code);

}  // namespace kiln::errors

#endif  // KILN_ERRORS_ERROR_H_
