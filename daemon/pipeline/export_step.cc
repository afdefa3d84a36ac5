#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/deployment_record.h"
#include "daemon/records/record.h"

namespace kiln::pipeline {

// A success exists once its record does. Run again after a crash, the writer finds what it wrote.
absl::Status RunExport(DeploymentContext& context) {
  records::RecordData data = RecordDataOf(context.shared, context.row, context.details);
  data.outcome = records::Outcome::kSucceeded;
  data.deployed_at = absl::FromUnixMicros(context.details.deployed_at_us());
  ASSIGN_OR_RETURN(context.row.record_path, WriteRecord(context.shared, data));
  return absl::OkStatus();
}

}  // namespace kiln::pipeline
