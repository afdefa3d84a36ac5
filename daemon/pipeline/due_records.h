#ifndef KILN_DAEMON_PIPELINE_DUE_RECORDS_H_
#define KILN_DAEMON_PIPELINE_DUE_RECORDS_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "daemon/pipeline/deployment_context.h"
#include "daemon/pipeline/details.pb.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// What the ledger keeps of an attempt that ends as `row` says, to make its record of. Goes into
// row.due_record, so that it is stored in the end's own transaction.
std::string DueRecordOf(const storage::Deployment& row, const DeploymentDetails& details);

// The records of deployments that did not succeed, from their end to the disk. A success waits for
// its record; a failure cannot, and its record may meet a full disk or a kill: what the ledger
// still knows as due is written at the next occasion, once. Owned by the scheduler; thread-safe.
class DueRecords {
 public:
  // Not owned.
  explicit DueRecords(const PipelineShared& shared) : shared_(shared) {}

  // Writes what is due. Called after every end and at the start. What cannot be written now is
  // logged and stays due. False when a test's crash happened on the way.
  bool WriteAll() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Status Write(const storage::DueRecord& due) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const PipelineShared& shared_;
  // Held while the due records are read and written: two workers never do the same one.
  absl::Mutex mutex_;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_DUE_RECORDS_H_
