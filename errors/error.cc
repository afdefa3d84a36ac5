#include "errors/error.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kiln::errors {
namespace {

constexpr absl::string_view kPayloadUrl = "kiln.v1/error-code";

// "PortBusy" -> "PORT_BUSY".
std::string UpperSnake(absl::string_view camel) {
  std::string result;
  for (const char c : camel) {
    if (absl::ascii_isupper(c) && !result.empty()) result += '_';
    result += absl::ascii_toupper(c);
  }
  return result;
}

Text MakeText(absl::string_view message, absl::string_view tips) {
  return {std::string(message), absl::StrSplit(tips, '\n', absl::SkipEmpty())};
}

struct Tables {
  std::vector<std::string> names;
  std::vector<CatalogueEntry> entries;
};

const Tables& AllTables() {
  static const Tables* const tables = [] {
    auto* built = new Tables{.names =
                                 {
#define KILN_ERROR(name, ...) UpperSnake(#name),
#include "errors/catalogue.inc"
#undef KILN_ERROR
                                 },
                             .entries = {
#define KILN_ERROR(name, error_class, retryable, en, th, en_tips, th_tips)                 \
  {ErrorCode::k##name,   "", ErrorClass::k##error_class, retryable, MakeText(en, en_tips), \
   MakeText(th, th_tips)},
#include "errors/catalogue.inc"
#undef KILN_ERROR
                             }};
    for (size_t i = 0; i < built->entries.size(); ++i) built->entries[i].name = built->names[i];
    return built;
  }();
  return *tables;
}

// How the classes map to the canonical codes of gRPC, where the single error
// says nothing finer.
absl::StatusCode CanonicalCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kDeploymentNotFound:
    case ErrorCode::kBatchNotFound:
    case ErrorCode::kBundleNotFound:
    case ErrorCode::kPortNotFound:
    case ErrorCode::kBoardNotFound:
    case ErrorCode::kRouteNotFound:
      return absl::StatusCode::kNotFound;
    case ErrorCode::kRequestConflict:
      return absl::StatusCode::kAlreadyExists;
    case ErrorCode::kRequestTooLarge:
    case ErrorCode::kBundleTooLarge:
    case ErrorCode::kStationBusy:
    case ErrorCode::kDiskFull:
    case ErrorCode::kReaderTooSlow:
    case ErrorCode::kTooManyRequests:
      return absl::StatusCode::kResourceExhausted;
    case ErrorCode::kSequenceOutOfRange:
      return absl::StatusCode::kOutOfRange;
    case ErrorCode::kPortPermission:
    case ErrorCode::kNotAllowed:
    case ErrorCode::kRequestRefused:
      return absl::StatusCode::kPermissionDenied;
    case ErrorCode::kNotSignedIn:
      return absl::StatusCode::kUnauthenticated;
    case ErrorCode::kStationDraining:
    case ErrorCode::kStationUnreachable:
    case ErrorCode::kBoardUnplugged:
    case ErrorCode::kPortBusy:
      return absl::StatusCode::kUnavailable;
    case ErrorCode::kDeploymentStateWrong:
    case ErrorCode::kBatchStateWrong:
    case ErrorCode::kBatchSlotTaken:
    case ErrorCode::kBoardAlreadyMade:
    case ErrorCode::kBundleRetired:
    case ErrorCode::kChipMismatch:
    case ErrorCode::kChipSecured:
    case ErrorCode::kFlashTooSmall:
    case ErrorCode::kBoardSwapped:
    case ErrorCode::kBoardInUse:
    case ErrorCode::kPortPowerUnsupported:
    case ErrorCode::kRestoreRefused:
    case ErrorCode::kBuildFailed:
    case ErrorCode::kBuilderUnavailable:
      return absl::StatusCode::kFailedPrecondition;
    case ErrorCode::kRequestInvalid:
    case ErrorCode::kCustomerInvalid:
    case ErrorCode::kBundleInvalid:
    case ErrorCode::kBundleUnsupported:
    case ErrorCode::kIdentityDoesNotFit:
    case ErrorCode::kTemplateInvalid:
    case ErrorCode::kTemplateValueInvalid:
      return absl::StatusCode::kInvalidArgument;
    case ErrorCode::kStepTimedOut:
    case ErrorCode::kBuildTimedOut:
      return absl::StatusCode::kDeadlineExceeded;
    case ErrorCode::kCancelledByOperator:
      return absl::StatusCode::kCancelled;
    case ErrorCode::kBundleDamaged:
    case ErrorCode::kLedgerDamaged:
    case ErrorCode::kBackupDamaged:
    case ErrorCode::kFlashVerifyFailed:
      return absl::StatusCode::kDataLoss;
    case ErrorCode::kInternal:
    case ErrorCode::kLedgerWriteFailed:
    case ErrorCode::kRecordWriteFailed:
    case ErrorCode::kBackupFailed:
      return absl::StatusCode::kInternal;
    default:
      return absl::StatusCode::kAborted;
  }
}

}  // namespace

const Text& CatalogueEntry::In(Language language) const {
  return language == Language::kThai ? thai : english;
}

absl::Span<const CatalogueEntry> Catalogue() { return AllTables().entries; }

const CatalogueEntry& Lookup(ErrorCode code) {
  return AllTables().entries[static_cast<size_t>(code)];
}

std::optional<ErrorCode> ParseErrorCode(absl::string_view name) {
  for (const CatalogueEntry& entry : Catalogue()) {
    if (entry.name == name) return entry.code;
  }
  return std::nullopt;
}

// Names, icons and colours of requirements document 000, section "error
// handling".
const ClassTraits& TraitsOf(ErrorClass error_class) {
  static constexpr ClassTraits kTraits[] = {
      {"NETWORK", "NETWORK_ERROR", "🌐", "red"},
      {"FIRMWARE", "PLATFORMIO_ERROR", "🔧", "red"},
      {"FLASH", "PLATFORMIO_ERROR", "🔧", "red"},
      {"BOARD", "ESP32_COMMUNICATION", "📡", "red"},
      {"FILE_SYSTEM", "FILE_SYSTEM_ERROR", "📁", "red"},
      {"VALIDATION", "VALIDATION_ERROR", "⚠️", "yellow"},
      {"TIMEOUT", "TIMEOUT_ERROR", "⏰", "blue"},
      {"INTERNAL", "UNKNOWN_ERROR", "❌", "red"},
  };
  return kTraits[static_cast<size_t>(error_class)];
}

absl::Status MakeError(ErrorCode code, absl::string_view detail) {
  absl::Status status(CanonicalCode(code), detail);
  status.SetPayload(kPayloadUrl, absl::Cord(Lookup(code).name));
  return status;
}

absl::Status TypedAs(ErrorCode code, const absl::Status& status) {
  if (status.ok() || status.GetPayload(kPayloadUrl).has_value()) return status;
  absl::Status typed(CanonicalCode(code), status.message());
  status.ForEachPayload([&typed](absl::string_view url, const absl::Cord& payload) {
    typed.SetPayload(url, payload);
  });
  typed.SetPayload(kPayloadUrl, absl::Cord(Lookup(code).name));
  return typed;
}

ErrorCode CodeOf(const absl::Status& status) {
  if (const auto payload = status.GetPayload(kPayloadUrl); payload.has_value()) {
    if (const std::optional<ErrorCode> code = ParseErrorCode(std::string(*payload))) return *code;
  }
  if (absl::IsDeadlineExceeded(status)) return ErrorCode::kStepTimedOut;
  if (absl::IsCancelled(status)) return ErrorCode::kCancelledByOperator;
  return ErrorCode::kInternal;
}

bool Is(const absl::Status& status, ErrorCode code) {
  return !status.ok() && CodeOf(status) == code;
}

}  // namespace kiln::errors
