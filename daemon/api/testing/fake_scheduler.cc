#include "daemon/api/testing/fake_scheduler.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "daemon/pipeline/messages.h"
#include "errors/error.h"
#include "gtest/gtest.h"

namespace kiln::api::testing {

storage::Deployment FakeScheduler::Move(const std::string& id, storage::DeploymentState state,
                                        const std::string& wifi_password) {
  auto row = ledger_.GetDeployment(id);
  EXPECT_TRUE(row.ok()) << row.status();
  storage::Deployment next = *row;
  next.state = state;
  if (!wifi_password.empty()) {
    next.wifi_ssid = "SMC_ESP32_BGK001_0001";
    next.wifi_password = wifi_password;
  }
  auto moved = ledger_.UpdateDeployment(next, row->sequence, pipeline::DeploymentPayload);
  EXPECT_TRUE(moved.ok()) << moved.status();
  return *moved;
}

void FakeScheduler::SetBusy(const std::string& port) {
  absl::MutexLock lock(&mutex_);
  busy_port_ = port;
}

absl::Status FakeScheduler::Drain(absl::Duration) {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  return absl::OkStatus();
}

absl::StatusOr<storage::Deployment> FakeScheduler::Create(const pipeline::Order& order,
                                                          bool validate_only) {
  if (draining()) return errors::MakeError(errors::ErrorCode::kStationDraining, "draining");
  storage::Deployment row;
  row.id = base::RandomUuid(base::SystemRandom());
  row.request_id = order.request_id;
  row.request_digest = absl::StrCat(order.customer.customer_id, "|", order.bundle, "|", order.port);
  row.organization = order.customer.organization;
  row.customer_id = order.customer.customer_id;
  row.application_name = order.customer.application_name;
  row.bundle_id = order.bundle;
  row.requested_port = order.port;
  row.create_time = absl::Now();
  row.update_time = row.create_time;
  if (validate_only) return row;
  ASSIGN_OR_RETURN(const storage::Ledger::CreateOutcome outcome,
                   ledger_.CreateDeployment(row, pipeline::DeploymentPayload));
  return outcome.deployment;
}

absl::StatusOr<storage::Deployment> FakeScheduler::Cancel(const std::string& id) {
  ASSIGN_OR_RETURN(storage::Deployment row, ledger_.GetDeployment(id));
  row.cancel_requested = true;
  return ledger_.UpdateDeployment(row, row.sequence, pipeline::DeploymentPayload);
}

absl::StatusOr<storage::Deployment> FakeScheduler::Retry(const std::string& id,
                                                         const std::string& request_id) {
  ASSIGN_OR_RETURN(storage::Deployment row, ledger_.GetDeployment(id));
  if (row.state != storage::DeploymentState::kFailed) {
    return errors::MakeError(errors::ErrorCode::kDeploymentStateWrong, "it has not failed");
  }
  row.state = storage::DeploymentState::kPending;
  row.attempt += 1;
  row.last_retry_request_id = request_id;
  return ledger_.UpdateDeployment(row, row.sequence, pipeline::DeploymentPayload);
}

absl::StatusOr<pipeline::RecordFile> FakeScheduler::RecordOf(const std::string& id) {
  ASSIGN_OR_RETURN(const storage::Deployment row, ledger_.GetDeployment(id));
  if (row.state != storage::DeploymentState::kSucceeded) {
    return errors::MakeError(errors::ErrorCode::kDeploymentStateWrong, "it has not ended");
  }
  return pipeline::RecordFile{
      .name = "customer.json",
      .json = absl::StrCat("{\"wifi\":{\"password\":\"", row.wifi_password, "\"}}")};
}

absl::Status FakeScheduler::WithIdlePort(const std::string& port,
                                         const std::function<absl::Status()>& use) {
  {
    absl::MutexLock lock(&mutex_);
    if (port == busy_port_) {
      return errors::MakeError(errors::ErrorCode::kBoardInUse, "a deployment uses the port");
    }
  }
  return use();
}

std::string FakeScheduler::RunningOn(const std::string& port) const {
  absl::MutexLock lock(&mutex_);
  return port == busy_port_ ? "running-id" : "";
}

bool FakeScheduler::draining() const {
  absl::MutexLock lock(&mutex_);
  return draining_;
}

}  // namespace kiln::api::testing
