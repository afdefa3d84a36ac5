#include "clients/cli/deployment_text.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "clients/cli/session.h"
#include "clients/cli/table.h"

namespace kiln::cli {
namespace {

constexpr int kLabelColumns = 14;

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace

std::string DescribeDeployment(const v1::Deployment& deployment, const Texts& texts,
                               const std::string& password) {
  std::string result = absl::StrCat(IdOf(deployment.name()), "\n");
  const auto line = [&result](absl::string_view label, absl::string_view value) {
    if (value.empty()) return;
    // The words are those of the tables' headings, which are in capitals.
    absl::StrAppend(&result, "  ", Padded(absl::AsciiStrToLower(label), kLabelColumns), value,
                    "\n");
  };
  line(texts.Get(TextId::kState), texts.Of(deployment.state()));
  line(texts.Get(TextId::kStepColumn),
       absl::StrCat(texts.Of(deployment.step()), " (", deployment.progress_percent(), "%)"));
  if (deployment.attempt() > 1)
    line(texts.Get(TextId::kAttempt), absl::StrCat(deployment.attempt()));
  line(texts.Get(TextId::kCustomer), deployment.customer().customer_id());
  line(texts.Get(TextId::kOrganization), deployment.customer().organization());
  line(texts.Get(TextId::kApplication), deployment.customer().application_name());
  line(texts.Get(TextId::kBundle), IdOf(deployment.bundle()).substr(0, 12));
  line(texts.Get(TextId::kPort),
       deployment.port().empty() ? deployment.requested_port() : deployment.port());
  line(texts.Get(TextId::kChip), deployment.chip());
  line(texts.Get(TextId::kMac), deployment.mac());
  line(texts.Get(TextId::kWifi), deployment.wifi_ssid());
  line(texts.Get(TextId::kPassword), password);
  if (deployment.flash().image_bytes() > 0) {
    const v1::FlashStatistics& flash = deployment.flash();
    line(texts.Get(TextId::kWritten),
         texts.Format(
             TextId::kOfBytes,
             {HumanBytes(flash.written_bytes()), HumanBytes(flash.image_bytes()),
              HumanDuration(ToDuration(flash.elapsed())), absl::StrCat(flash.baud_rate())}));
  }
  line(texts.Get(TextId::kRecord), deployment.record_path());
  for (const v1::StepRecord& step : deployment.steps()) {
    if (step.state() == v1::StepRecord::STATE_UNSPECIFIED ||
        step.state() == v1::StepRecord::STATE_WAITING) {
      continue;
    }
    const absl::string_view mark = step.state() == v1::StepRecord::STATE_FINISHED  ? "✓"
                                   : step.state() == v1::StepRecord::STATE_FAILED  ? "✗"
                                   : step.state() == v1::StepRecord::STATE_SKIPPED ? "–"
                                                                                   : "…";
    absl::StrAppend(&result, "    ", mark, " ", Padded(texts.Of(step.step()), 20),
                    HumanDuration(ToDuration(step.elapsed())), "\n");
  }
  if (deployment.has_failure()) {
    absl::StrAppend(&result, DescribeFailure(deployment.failure(), texts));
    if (deployment.failure().retryable()) {
      absl::StrAppend(&result, texts.Format(TextId::kCanRetry, {IdOf(deployment.name())}), "\n");
    }
  }
  return result;
}

}  // namespace kiln::cli
