#include "daemon/pipeline/deployment_context.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/pipeline/step.h"

namespace kiln::pipeline {

void PipelineShared::Log(bool problem, absl::string_view message, absl::string_view deployment,
                         std::initializer_list<telemetry::LogField> fields) const {
  if (parts.log == nullptr) return;
  // Log takes its fields as a literal list; the pipeline never has more than one of its own.
  const telemetry::LogField extra =
      fields.size() > 0 ? *fields.begin() : telemetry::LogField{"port", ""};
  if (problem) {
    parts.log->Warn(message, {{"deployment", deployment}, extra});
  } else {
    parts.log->Info(message, {{"deployment", deployment}, extra});
  }
}

namespace {

esp::FlasherOptions OptionsFor(const PipelineShared& shared, const std::string& port) {
  esp::FlasherOptions options = shared.options.flasher;
  if (shared.parts.profiles != nullptr) options.profile = &shared.parts.profiles->Of(port);
  return options;
}

}  // namespace

DeploymentContext::DeploymentContext(const PipelineShared& shared_parts,
                                     const storage::Deployment& stored,
                                     const std::string& port_name,
                                     const base::Cancellation& stop_request)
    : shared(shared_parts),
      port(port_name),
      stop(stop_request),
      row(stored),
      progress(stored.id, stored.progress_percent, *shared_parts.parts.clock,
               shared_parts.parts.progress),
      session(*shared_parts.parts.clock, shared_parts.make_flasher,
              OptionsFor(shared_parts, port_name)) {
  if (!details.ParseFromString(row.details)) details.Clear();
  if (details.steps().empty()) ResetSteps(details);
  // The first run finds the row as the acceptance left it.
  if (details.created_sequence() == 0) details.set_created_sequence(row.sequence);
}

identity::Customer DeploymentContext::customer() const {
  return {.organization = row.organization,
          .customer_id = row.customer_id,
          .application_name = row.application_name,
          .expiry_date = row.expiry_date};
}

absl::Status DeploymentContext::Save() {
  row.details = details.SerializeAsString();
  row.progress_percent = progress.percent();
  RETURN_IF_ERROR(shared.journal.Save(row));
  progress.Stored();
  return absl::OkStatus();
}

absl::Status WaitUnlessStopped(base::Clock& clock, const base::Cancellation& stop,
                               absl::Duration duration) {
  constexpr absl::Duration kSlice = absl::Milliseconds(50);
  const absl::Duration end = clock.Monotonic() + duration;
  for (;;) {
    RETURN_IF_ERROR(stop.Check());
    const absl::Duration left = end - clock.Monotonic();
    if (left <= absl::ZeroDuration()) return absl::OkStatus();
    clock.Sleep(std::min(left, kSlice));
  }
}

}  // namespace kiln::pipeline
