#include "clients/cli/texts.h"

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "errors/error.h"
#include "kiln/v1/station.pb.h"

namespace kiln::cli {
namespace {

struct Pair {
  const char* english;
  const char* thai;
};

constexpr Pair kTexts[] = {
#define KILN_TEXT(name, english, thai) {english, thai},
#include "clients/cli/texts.inc"
#undef KILN_TEXT
};

}  // namespace

absl::string_view Texts::Get(TextId id) const {
  const Pair& pair = kTexts[static_cast<size_t>(id)];
  return language_ == Language::kThai ? pair.thai : pair.english;
}

std::string Texts::Format(TextId id, std::initializer_list<absl::string_view> values) const {
  std::string result;
  absl::string_view rest = Get(id);
  for (const absl::string_view value : values) {
    const size_t place = rest.find("{}");
    if (place == absl::string_view::npos) break;
    absl::StrAppend(&result, rest.substr(0, place), value);
    rest.remove_prefix(place + 2);
  }
  return absl::StrCat(result, rest);
}

absl::string_view Texts::Of(v1::Board::State state) const {
  switch (state) {
    case v1::Board::STATE_ABSENT:
      return Get(TextId::kBoardAbsent);
    case v1::Board::STATE_READY:
      return Get(TextId::kBoardReady);
    case v1::Board::STATE_BUSY:
      return Get(TextId::kBoardBusy);
    case v1::Board::STATE_UNUSABLE:
      return Get(TextId::kBoardUnusable);
    default:
      return "?";
  }
}

absl::string_view Texts::Of(v1::Deployment::State state) const {
  switch (state) {
    case v1::Deployment::STATE_PENDING:
      return Get(TextId::kStatePending);
    case v1::Deployment::STATE_RUNNING:
      return Get(TextId::kStateRunning);
    case v1::Deployment::STATE_SUCCEEDED:
      return Get(TextId::kStateSucceeded);
    case v1::Deployment::STATE_FAILED:
      return Get(TextId::kStateFailed);
    case v1::Deployment::STATE_CANCELED:
      return Get(TextId::kStateCanceled);
    case v1::Deployment::STATE_NEEDS_ATTENTION:
      return Get(TextId::kStateNeedsAttention);
    default:
      return "?";
  }
}

absl::string_view Texts::Of(v1::Batch::State state) const {
  switch (state) {
    case v1::Batch::STATE_ACTIVE:
      return Get(TextId::kBatchActive);
    case v1::Batch::STATE_PAUSED:
      return Get(TextId::kBatchPaused);
    case v1::Batch::STATE_COMPLETED:
      return Get(TextId::kBatchCompleted);
    case v1::Batch::STATE_ENDED:
      return Get(TextId::kBatchEnded);
    default:
      return "?";
  }
}

absl::string_view Texts::Of(v1::Step step) const {
  switch (step) {
    case v1::STEP_PREPARE:
      return Get(TextId::kStepPrepare);
    case v1::STEP_CONNECT:
      return Get(TextId::kStepConnect);
    case v1::STEP_IDENTIFY:
      return Get(TextId::kStepIdentify);
    case v1::STEP_FLASH:
      return Get(TextId::kStepFlash);
    case v1::STEP_VERIFY:
      return Get(TextId::kStepVerify);
    case v1::STEP_BOOT:
      return Get(TextId::kStepBoot);
    case v1::STEP_CONFIRM:
      return Get(TextId::kStepConfirm);
    case v1::STEP_EXPORT:
      return Get(TextId::kStepExport);
    case v1::STEP_DONE:
      return Get(TextId::kStepDone);
    default:
      return "";
  }
}

absl::string_view Texts::Of(v1::Health::Level level) const {
  switch (level) {
    case v1::Health::LEVEL_HEALTHY:
      return Get(TextId::kHealthy);
    case v1::Health::LEVEL_DEGRADED:
      return Get(TextId::kDegraded);
    case v1::Health::LEVEL_UNHEALTHY:
      return Get(TextId::kUnhealthy);
    default:
      return "?";
  }
}

int TextCount() { return static_cast<int>(std::size(kTexts)); }

Language ChooseLanguage(absl::string_view option, absl::string_view locale) {
  const absl::string_view name = option.empty() ? locale : option;
  return absl::StartsWith(name, "th") ? Language::kThai : Language::kEnglish;
}

}  // namespace kiln::cli
