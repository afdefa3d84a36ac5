#include "daemon/pipeline/deployment_record.h"

#include <string>

#include "absl/time/time.h"
#include "daemon/pipeline/step.h"
#include "errors/error.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::pipeline {

records::RecordData RecordDataOf(const PipelineShared& shared, const storage::Deployment& row,
                                 const DeploymentDetails& details) {
  const PipelineOptions& options = shared.options;
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
  const absl::StatusOr<firmware::Bundle> bundle = shared.parts.bundles->Get(row.bundle_id);
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

absl::StatusOr<std::string> WriteRecord(const PipelineShared& shared,
                                        const records::RecordData& data) {
  const base::Clock& clock = *shared.parts.clock;
  const absl::Duration start = clock.Monotonic();
  absl::StatusOr<std::string> path = shared.records.WriteRecord(data);
  shared.parts.metrics->RecordExported(path.ok(), clock.Monotonic() - start);
  if (!path.ok()) return errors::TypedAs(errors::ErrorCode::kRecordWriteFailed, path.status());
  return path;
}

}  // namespace kiln::pipeline
