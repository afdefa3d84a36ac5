#include "daemon/pipeline/batches.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "errors/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using ::testing::HasSubstr;

TEST(BatchPortsTest, PatternsMeanNamesAndAliases) {
  const boards::BoardInfo board{.port = "usb-1-2.3", .alias = "A1"};
  storage::Batch batch;
  struct Case {
    std::vector<std::string> ports;
    BatchPortRules rules;
    bool takes;
  };
  for (const Case& c : std::vector<Case>{
           {{"usb-1-2.*"}, {}, true},
           {{"usb-1-3.*", "A*"}, {}, true},
           {{"A1"}, {}, true},
           {{"usb-1-3.*"}, {}, false},
           {{"*"}, {.allow = {"A*"}}, true},
           {{"*"}, {.allow = {"B*"}}, false},
           {{"*"}, {.deny = {"usb-1-2.3"}}, false},
           {{"*"}, {.allow = {"A1"}, .deny = {"A1"}}, false},
       }) {
    batch.ports = c.ports;
    EXPECT_EQ(TakesFrom(batch, c.rules, board), c.takes) << c.ports.front();
  }
}

class BatchesTest : public PipelineFixture {
 protected:
  BatchOrder MakeBatchOrder() {
    return {.request_id = "request-1",
            .customers = {{.organization = "โรงพยาบาลกรุงเทพ",
                           .customer_id = "BGK001",
                           .application_name = "SMC_Cabinet_Ward_A"}},
            .one_customer = true,
            .bundle = bundle_,
            .ports = {"p*"},
            .count = 3};
  }

  Batches batches_{*ledger_,
                   *bundles_,
                   clock_,
                   base::SystemRandom(),
                   absl::UTCTimeZone(),
                   [this] { ++changes_; }};
  int changes_ = 0;
};

TEST_F(BatchesTest, AnOrderIsKeptOnce) {
  const auto first = batches_.Create(MakeBatchOrder(), false);
  ASSERT_TRUE(first.ok()) << first.status();
  BatchOrder again = MakeBatchOrder();
  again.bundle = bundle_.substr(0, 12);
  ASSERT_TRUE(bundles_->Retire(bundle_).ok());

  const auto second = batches_.Create(again, false);

  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->id, first->id);
  EXPECT_EQ(changes_, 1);
  again.count = 4;
  EXPECT_TRUE(errors::Is(batches_.Create(again, false).status(), ErrorCode::kBundleRetired));
}

TEST_F(BatchesTest, AnotherOrderWithTheSameRequestIdIsAConflict) {
  ASSERT_TRUE(batches_.Create(MakeBatchOrder(), false).ok());
  BatchOrder other = MakeBatchOrder();
  other.ports = {"p*", "q*"};

  EXPECT_TRUE(errors::Is(batches_.Create(other, false).status(), ErrorCode::kRequestConflict));
}

TEST_F(BatchesTest, ValidateOnlyKeepsNothing) {
  const auto checked = batches_.Create(MakeBatchOrder(), true);

  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(ToMessage(*checked).name(), "");
  EXPECT_EQ(*real_ledger_->LastSequence(), 0);
  EXPECT_EQ(changes_, 0);
}

TEST_F(BatchesTest, RefusesWhatCannotBeMade) {
  struct Case {
    const char* what;
    std::function<void(BatchOrder&)> change;
    ErrorCode code;
    const char* says;
  };
  const std::vector<Case> cases = {
      {"no ports", [](auto& o) { o.ports.clear(); }, ErrorCode::kRequestInvalid, "1 to 64"},
      {"too many ports", [](auto& o) { o.ports.assign(65, "p"); }, ErrorCode::kRequestInvalid,
       "1 to 64"},
      {"an odd pattern", [](auto& o) { o.ports = {"p\n*"}; }, ErrorCode::kRequestInvalid, "ports"},
      {"a long pattern", [](auto& o) { o.ports = {std::string(65, 'p')}; },
       ErrorCode::kRequestInvalid, "ports"},
      {"nothing to make", [](auto& o) { o.count = 0; }, ErrorCode::kRequestInvalid, "1 to 1000"},
      {"too much to make", [](auto& o) { o.count = 1001; }, ErrorCode::kRequestInvalid,
       "1 to 1000"},
      {"too few customers", [](auto& o) { o.one_customer = false; }, ErrorCode::kRequestInvalid,
       "1 customers"},
      {"a wrong customer", [](auto& o) { o.customers[0].customer_id = "x"; },
       ErrorCode::kCustomerInvalid, "customer_id"},
      {"a wrong customer in a list",
       [](auto& o) {
         o.one_customer = false;
         o.customers.resize(3, o.customers[0]);
         o.customers[2].organization = "";
       },
       ErrorCode::kCustomerInvalid, "customers[2]"},
      {"no such bundle", [](auto& o) { o.bundle = "ffffffff"; }, ErrorCode::kBundleNotFound, ""},
      {"an odd request id", [](auto& o) { o.request_id = "a b"; }, ErrorCode::kRequestInvalid, ""},
  };
  for (const Case& c : cases) {
    BatchOrder order = MakeBatchOrder();
    c.change(order);
    const absl::Status status = batches_.Create(order, false).status();
    EXPECT_TRUE(errors::Is(status, c.code)) << c.what << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.says)) << c.what;
  }
  EXPECT_EQ(*real_ledger_->LastSequence(), 0);
}

TEST_F(BatchesTest, ARetiredBundleCannotBeResumed) {
  const auto batch = batches_.Create(MakeBatchOrder(), false);
  ASSERT_TRUE(batches_.Pause(batch->id).ok());
  ASSERT_TRUE(bundles_->Retire(bundle_).ok());

  EXPECT_TRUE(errors::Is(batches_.Resume(batch->id).status(), ErrorCode::kBundleRetired));
  EXPECT_TRUE(errors::Is(batches_.Resume("none").status(), ErrorCode::kBatchNotFound));
}

TEST_F(BatchesTest, OnlyAMacCanBeAllowed) {
  const auto batch = batches_.Create(MakeBatchOrder(), false);
  for (const char* text : {"", "7cdfa1000001", "7c:df:a1:00:00:0g", "7c-df-a1-00-00-01"}) {
    EXPECT_TRUE(
        errors::Is(batches_.AllowBoard(batch->id, text).status(), ErrorCode::kRequestInvalid))
        << text;
  }
}

TEST_F(BatchesTest, ItsEventTellsTheWholeBatch) {
  ledger_->SetBatchPayload(BatchEventPayload);
  const auto batch = batches_.Create(MakeBatchOrder(), false);
  ASSERT_TRUE(batch.ok()) << batch.status();

  const auto events = real_ledger_->ListEvents({});

  ASSERT_EQ(events->size(), 1U);
  v1::Event event;
  ASSERT_TRUE(event.ParseFromString(events->front().payload));
  EXPECT_EQ(event.kind(), v1::EVENT_KIND_BATCH);
  EXPECT_EQ(event.batch().name(), absl::StrCat("batches/", batch->id));
  EXPECT_EQ(event.batch().customer().customer_id(), "BGK001");
  EXPECT_EQ(event.batch().remaining(), 3);
  EXPECT_EQ(event.batch().sequence(), 1);
}

}  // namespace
}  // namespace kiln::pipeline
