#include "daemon/pipeline/due_records.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/pipeline/deployment_record.h"
#include "daemon/records/record.h"

namespace kiln::pipeline {
namespace {

// At one occasion; the rest waits for the next. More than a few are there only after days of a full
// disk.
constexpr int kMaxAtOnce = 1000;

}  // namespace

std::string DueRecordOf(const storage::Deployment& row, const DeploymentDetails& details) {
  EndedAttempt ended;
  ended.set_canceled(row.state == storage::DeploymentState::kCanceled);
  ended.set_error_code(row.error_code);
  ended.set_error_detail(row.error_detail);
  if (row.start_time != absl::InfinitePast()) {
    ended.set_start_time_us(absl::ToUnixMicros(row.start_time));
  }
  ended.set_end_time_us(absl::ToUnixMicros(row.end_time));
  ended.set_port(row.port);
  ended.set_chip(row.chip);
  ended.set_mac(row.mac);
  ended.set_flash_size_bytes(row.flash_size_bytes);
  ended.set_wifi_ssid(row.wifi_ssid);
  *ended.mutable_details() = details;
  return ended.SerializeAsString();
}

bool DueRecords::WriteAll() {
  absl::MutexLock lock(&mutex_);
  const absl::StatusOr<std::vector<storage::DueRecord>> all =
      shared_.parts.ledger->FindDueRecords(kMaxAtOnce);
  if (!all.ok()) {
    shared_.Log(true,
                absl::StrCat("records that are due cannot be looked up: ", all.status().message()),
                "");
    return true;
  }
  for (const storage::DueRecord& due : *all) {
    if (shared_.Failpoint("failed-record:enter")) return false;
    const absl::Status written = Write(due);
    if (!written.ok()) {
      shared_.Log(true,
                  absl::StrCat("the record of a deployment that did not succeed was not written "
                               "and stays due: ",
                               written.message()),
                  due.deployment_id);
      continue;
    }
    if (shared_.Failpoint("failed-record:leave")) return false;
    const absl::Status forgotten =
        shared_.parts.ledger->ForgetDueRecord(due.deployment_id, due.attempt);
    if (!forgotten.ok()) {
      // The next occasion finds the file and tries this again.
      shared_.Log(true, absl::StrCat("a record that is written stays due: ", forgotten.message()),
                  due.deployment_id);
    }
  }
  return true;
}

absl::Status DueRecords::Write(const storage::DueRecord& due) {
  EndedAttempt ended;
  if (!ended.ParseFromString(due.content)) {
    return absl::InternalError("what the ledger kept of it cannot be read");
  }
  // The order from the row, where it never changes; what this attempt came to from its end.
  ASSIGN_OR_RETURN(storage::Deployment row, shared_.parts.ledger->GetDeployment(due.deployment_id));
  row.wifi_password.clear();
  row.attempt = due.attempt;
  row.sequence = due.sequence;
  row.port = ended.port();
  row.chip = ended.chip();
  row.mac = ended.mac();
  row.flash_size_bytes = ended.flash_size_bytes();
  row.wifi_ssid = ended.wifi_ssid();
  row.start_time = ended.start_time_us() == 0 ? absl::InfinitePast()
                                              : absl::FromUnixMicros(ended.start_time_us());
  records::RecordData data = RecordDataOf(shared_, row, ended.details());
  data.outcome = ended.canceled() ? records::Outcome::kCanceled : records::Outcome::kFailed;
  data.failure_code = ended.error_code();
  data.failure_detail = ended.error_detail();
  data.deployed_at = absl::FromUnixMicros(ended.end_time_us());
  return WriteRecord(shared_, data).status();
}

}  // namespace kiln::pipeline
