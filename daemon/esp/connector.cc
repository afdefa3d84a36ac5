#include "daemon/esp/connector.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "daemon/esp/loader_client.h"
#include "daemon/esp/loader_link.h"
#include "daemon/esp/reset.h"
#include "errors/error.h"

namespace kiln::esp {
namespace {

using errors::ErrorCode;

constexpr absl::Duration kSyncTimeout = absl::Milliseconds(100);
// A loader that is already there answers at once; others must not wait long for their reset.
constexpr absl::Duration kTakeOverTimeout = absl::Milliseconds(50);
constexpr int kResetTries = 7;
constexpr int kSyncsPerReset = 5;

}  // namespace

bool IsLineTrouble(const absl::Status& status) {
  return errors::Is(status, ErrorCode::kBoardSilent) ||
         errors::Is(status, ErrorCode::kProtocolError);
}

absl::Status DiagnoseSilence(absl::string_view printed) {
  if (absl::StrContains(printed, "waiting for download")) {
    return errors::MakeError(ErrorCode::kBoardSilent,
                             "the loader started but does not hear the station: check the line to "
                             "the chip's RX pin");
  }
  // ROMs print "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)".
  const size_t at = printed.rfind("boot:0x");
  if (at != absl::string_view::npos) {
    absl::string_view mode = printed.substr(at, 80);
    const size_t end = mode.find_first_of("\r\n");
    if (end != absl::string_view::npos) mode = mode.substr(0, end);
    return errors::MakeError(
        ErrorCode::kBoardWrongBootMode,
        absl::StrCat("the chip reports ", absl::CHexEscape(mode),
                     ", which is not download mode: GPIO0 was not low when it started"));
  }
  if (printed.empty()) {
    return errors::MakeError(ErrorCode::kBoardSilent, "nothing arrives from the board");
  }
  return errors::MakeError(
      ErrorCode::kBoardSilent,
      absl::StrCat(printed.size(),
                   " bytes arrive, but no loader answers and no boot log is among "
                   "them"));
}

absl::Status LoaderConnector::SyncUpTo(int tries) {
  absl::Status status = absl::OkStatus();
  for (int i = 0; i < tries; ++i) {
    status = loader_.Sync(kSyncTimeout);
    if (!IsLineTrouble(status)) return status;
  }
  return status;
}

absl::Status LoaderConnector::Connect(uint32_t usual_rate) {
  LoaderLink& link = loader_.link();
  for (const uint32_t rate : {kFirstContactBaudRate, usual_rate}) {
    if (rate == usual_rate && (rate == kFirstContactBaudRate || !link.traits().has_baud_rate)) {
      continue;
    }
    const absl::Status set = link.SetBaudRate(rate);
    // At a rate that the adapter does not make, no loader waits for it.
    if (errors::Is(set, ErrorCode::kBaudRateUnsupported)) continue;
    RETURN_IF_ERROR(set);
    RETURN_IF_ERROR(link.DiscardInput());
    absl::Status status = loader_.Sync(kTakeOverTimeout);
    if (!IsLineTrouble(status)) return status;
  }
  return ResetIntoLoader();
}

std::vector<ResetSequence> LoaderConnector::SequencesToTry() const {
  const ports::LinkTraits traits = loader_.link().traits();
  if (!traits.has_modem_lines) return {};
  if (profile_ != nullptr && profile_->settings().loader_reset.has_value()) {
    return {profile_->settings().loader_reset->sequence()};
  }
  const absl::Span<const ResetSequence> usual = LoaderResetSequences(traits);
  std::vector<ResetSequence> sequences(usual.begin(), usual.end());
  if (profile_ != nullptr) {
    std::stable_partition(sequences.begin(), sequences.end(),
                          [last = profile_->last_reset()](const ResetSequence& sequence) {
                            return sequence.name == last;
                          });
  }
  return sequences;
}

absl::Status LoaderConnector::ResetIntoLoader() {
  LoaderLink& link = loader_.link();
  RETURN_IF_ERROR(link.SetBaudRate(kFirstContactBaudRate));
  const std::vector<ResetSequence> sequences = SequencesToTry();
  link.StartTranscript();
  for (int i = 0; i < kResetTries; ++i) {
    RETURN_IF_ERROR(link.CheckCancelled());
    RETURN_IF_ERROR(link.DiscardInput());
    if (!sequences.empty()) {
      RETURN_IF_ERROR(
          RunResetSequence(sequences[i % sequences.size()], link.stream(), link.clock()));
    }
    absl::Status status = SyncUpTo(kSyncsPerReset);
    if (IsLineTrouble(status)) continue;
    link.StopTranscript();
    if (status.ok() && profile_ != nullptr && !sequences.empty()) {
      profile_->ResetWorked(sequences[i % sequences.size()].name);
    }
    return status;
  }
  link.StopTranscript();
  return DiagnoseSilence(link.transcript());
}

absl::Status LoaderConnector::Resynchronise() {
  LoaderLink& link = loader_.link();
  RETURN_IF_ERROR(link.DiscardInput());
  return SyncUpTo(kSyncsPerReset);
}

}  // namespace kiln::esp
