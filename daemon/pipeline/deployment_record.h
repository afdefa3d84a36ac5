#ifndef KILN_DAEMON_PIPELINE_DEPLOYMENT_RECORD_H_
#define KILN_DAEMON_PIPELINE_DEPLOYMENT_RECORD_H_

#include <string>

#include "absl/status/statusor.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/records/record.h"
#include "storage/ledger.h"

// From a deployment's row to its record. On any thread.
namespace kiln::pipeline {

// Everything but the outcome, and when it came.
records::RecordData RecordDataOf(const PipelineShared& shared, const storage::Deployment& row,
                                 const DeploymentDetails& details);

// Writes the record, counts it, and answers its path. DiskFull, RecordWriteFailed.
absl::StatusOr<std::string> WriteRecord(const PipelineShared& shared,
                                        const records::RecordData& data);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_DEPLOYMENT_RECORD_H_
