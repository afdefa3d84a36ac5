#include "daemon/pipeline/batch_fixture.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {

using storage::Batch;
using storage::Deployment;
using storage::DeploymentState;
using ::testing::SizeIs;

std::string BatchFixture::Order(int count, const std::vector<std::string>& ports) {
  return Order({.request_id = absl::StrCat("batch-", ++orders_),
                .customers = {MakeOrder("any").customer},
                .one_customer = true,
                .bundle = bundle_,
                .ports = ports,
                .count = count});
}

std::string BatchFixture::Order(const BatchOrder& order) {
  const auto batch = batches_.Create(order, false);
  EXPECT_TRUE(batch.ok()) << batch.status();
  return batch.ok() ? batch->id : "";
}

std::string BatchFixture::OrderFor(const std::vector<std::string>& customers) {
  BatchOrder order{.request_id = absl::StrCat("batch-", ++orders_),
                   .customers = {},
                   .one_customer = false,
                   .bundle = bundle_,
                   .ports = {"p*"},
                   .count = static_cast<int>(customers.size())};
  for (const std::string& customer : customers) {
    order.customers.push_back(MakeOrder("any").customer);
    order.customers.back().customer_id = customer;
  }
  return Order(order);
}

void BatchFixture::Plug(const std::string& port, uint8_t number) {
  std::unique_ptr<simulator::SimulatedOpener>& board = stock_[number];
  if (board == nullptr) {
    simulator::BoardConfig config;
    config.chip = esp::Chip::kEsp32C3;
    config.mac = {0x7C, 0xDF, 0xA1, 0x00, 0x00, number};
    board = std::make_unique<simulator::SimulatedOpener>(config, clock_, port);
  }
  registry_.Plug(port, board.get());
}

Batch BatchFixture::GetBatch(const std::string& id) {
  const auto batch = real_ledger_->GetBatch(id);
  EXPECT_TRUE(batch.ok()) << batch.status();
  return batch.ok() ? *batch : Batch();
}

Batch BatchFixture::AwaitBatch(const std::string& id,
                               const std::function<bool(const Batch&)>& condition) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  for (;;) {
    int64_t seen;
    {
      absl::MutexLock lock(&mutex_);
      seen = commits_;
    }
    const Batch batch = GetBatch(id);
    if (condition(batch)) return batch;
    absl::MutexLock lock(&mutex_);
    const auto more = [this, seen] {
      mutex_.AssertHeld();
      return commits_ != seen;
    };
    if (!mutex_.AwaitWithDeadline(absl::Condition(&more), end)) {
      ADD_FAILURE() << "waited in vain: " << ToMessage(batch).ShortDebugString();
      return batch;
    }
  }
}

Batch BatchFixture::AwaitSucceeded(const std::string& id, int count) {
  return AwaitBatch(id, [count](const Batch& batch) { return batch.succeeded == count; });
}

Batch BatchFixture::AwaitIdle(const std::string& id, int deployments) {
  return AwaitBatch(id, [deployments](const Batch& batch) {
    return batch.accepted == deployments && batch.running == 0;
  });
}

void BatchFixture::ExpectNothingMore(const std::string& id, int deployments) {
  scheduler_->LookForWork();
  EXPECT_EQ(GetBatch(id).accepted, deployments);
}

std::vector<Deployment> BatchFixture::DeploymentsOf(const std::string& id) {
  const auto rows = real_ledger_->ListDeployments({.batch_id = id, .limit = 1000});
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *rows : std::vector<Deployment>();
}

std::vector<std::string> BatchFixture::ErrorsOf(const std::string& id) {
  std::vector<std::string> errors;
  for (const Deployment& row : DeploymentsOf(id)) errors.push_back(row.error_code);
  return errors;
}

void BatchFixture::ExpectEachBoardOnce(const std::string& id) {
  std::set<std::string> macs;
  for (const Deployment& row : DeploymentsOf(id)) {
    if (row.state != DeploymentState::kSucceeded) continue;
    EXPECT_TRUE(macs.insert(row.mac).second) << row.mac << " was made twice";
  }
  const Batch batch = GetBatch(id);
  EXPECT_LE(batch.succeeded + batch.running, batch.count);
  EXPECT_EQ(static_cast<int>(macs.size()), batch.succeeded);
  EXPECT_THAT(Records(), SizeIs(macs.size()));
  EXPECT_TRUE(real_ledger_->Verify()->ok);
}

}  // namespace kiln::pipeline
