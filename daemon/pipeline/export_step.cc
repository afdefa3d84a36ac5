#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/step.h"
#include "daemon/records/record.h"
#include "errors/error.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::pipeline {
namespace {

records::RecordData DataOf(const DeploymentContext& context) {
  const storage::Deployment& row = context.row;
  const DeploymentDetails& details = context.details;
  const PipelineOptions& options = context.shared.options;
  records::RecordData data;
  data.deployment_id = row.id;
  data.attempt = row.attempt;
  data.request_id = row.request_id;
  data.organization = row.organization;
  data.customer_id = row.customer_id;
  data.application_name = row.application_name;
  data.expiry_date = row.expiry_date;
  data.wifi_ssid = row.wifi_ssid;
  data.wifi_password = row.wifi_password;
  data.mac = row.mac;
  data.ip_address = options.confirm.ip;
  data.chip = row.chip;
  data.flash_size_bytes = row.flash_size_bytes;
  data.bundle_id = row.bundle_id;
  const absl::StatusOr<firmware::Bundle> bundle = context.shared.parts.bundles->Get(row.bundle_id);
  if (bundle.ok()) {
    data.bundle_title = bundle->title;
    data.bundle_version = bundle->version;
  }
  data.station_id = options.station_id;
  data.port = row.port;
  data.deployed_by = options.deployed_by;
  data.create_time = row.create_time;
  data.start_time = row.start_time;
  for (const v1::StepRecord& step : details.steps()) {
    if (!step.has_elapsed()) continue;
    data.steps.push_back(
        {.step = std::string(NameOf(step.step())),
         .elapsed = absl::Microseconds(
             google::protobuf::util::TimeUtil::DurationToMicroseconds(step.elapsed()))});
  }
  data.image_bytes = details.flash().image_bytes();
  data.written_bytes = details.flash().written_bytes();
  data.sent_bytes = details.flash().sent_bytes();
  data.created_sequence = details.created_sequence();
  data.sequence = row.sequence;
  return data;
}

absl::StatusOr<std::string> Write(DeploymentContext& context, const records::RecordData& data) {
  const absl::Duration start = context.clock().Monotonic();
  absl::StatusOr<std::string> path = context.shared.records.WriteRecord(data);
  context.shared.parts.metrics->RecordExported(path.ok(), context.clock().Monotonic() - start);
  if (!path.ok()) return errors::TypedAs(errors::ErrorCode::kRecordWriteFailed, path.status());
  return path;
}

}  // namespace

// A success exists once its record does. Run again after a crash, the writer finds what it wrote.
absl::Status RunExport(DeploymentContext& context) {
  records::RecordData data = DataOf(context);
  data.outcome = records::Outcome::kSucceeded;
  data.deployed_at = absl::FromUnixMicros(context.details.deployed_at_us());
  ASSIGN_OR_RETURN(context.row.record_path, Write(context, data));
  return absl::OkStatus();
}

void ExportFailure(DeploymentContext& context) {
  records::RecordData data = DataOf(context);
  data.outcome = context.row.state == storage::DeploymentState::kCanceled
                     ? records::Outcome::kCanceled
                     : records::Outcome::kFailed;
  data.failure_code = context.row.error_code;
  data.failure_detail = context.row.error_detail;
  data.deployed_at = context.row.end_time;
  const absl::StatusOr<std::string> path = Write(context, data);
  if (!path.ok()) {
    context.Log(true, "the record of a deployment that did not succeed was not written: " +
                          std::string(path.status().message()));
  }
}

}  // namespace kiln::pipeline
