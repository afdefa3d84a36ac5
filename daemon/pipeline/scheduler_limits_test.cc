// How many boards are written to at once, in all and at one hub.
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/pipeline/batch_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using storage::Batch;
using storage::Deployment;
using storage::DeploymentState;
using ::testing::ElementsAre;

class LimitTest : public BatchFixture {
 protected:
  LimitTest() {
    for (int i = 1; i <= 4; ++i) {
      const std::string port = absl::StrCat("p", i);
      registry_.AddPort(port);
      registry_.SetUsb(port, {.hub = i <= 3 ? "1-1" : "1-2"});
    }
  }
};

TEST_F(LimitTest, NoMoreRunAtOnceThanAllowed) {
  options_.max_running = 2;
  options_.max_running_per_hub = 1;
  for (uint8_t i = 1; i <= 4; ++i) Plug(absl::StrCat("p", i), i);
  StartStation();
  HoldAt("flash:enter");
  const std::string id = Order(4);
  AwaitHeld();

  // One at each hub: the fourth board does not wait for the second.
  ExpectNothingMore(id, 2);
  EXPECT_FALSE(scheduler_->RunningOn("p1").empty());
  EXPECT_FALSE(scheduler_->RunningOn("p4").empty());
  Resume();
  AwaitSucceeded(id, 4);
  ExpectEachBoardOnce(id);
}

TEST_F(LimitTest, OrdersTakeTheirTurnAsTheyCame) {
  options_.max_running = 1;
  for (uint8_t i = 1; i <= 3; ++i) Plug(absl::StrCat("p", i), i);
  StartStation();
  HoldAt("flash:enter");
  const Deployment first = Deploy("p3");
  AwaitHeld();
  const Deployment second = Deploy("p2");
  const Deployment third = Deploy("p1");
  Resume();

  EXPECT_LT(AwaitEnd(first.id).start_time, AwaitEnd(second.id).start_time);
  EXPECT_LT(AwaitEnd(second.id).start_time, AwaitEnd(third.id).start_time);
}

TEST_F(LimitTest, ABatchTakesBoardsAsTheyCame) {
  options_.max_running = 1;
  StartStation();
  HoldAt("flash:enter");
  const std::string id = Order(3);
  Plug("p3", 3);
  AwaitHeld();
  Plug("p2", 2);
  Plug("p1", 1);
  Resume();
  AwaitSucceeded(id, 3);

  std::vector<std::string> newest_first;
  for (const Deployment& row : DeploymentsOf(id)) newest_first.push_back(row.port);
  EXPECT_THAT(newest_first, ElementsAre("p1", "p2", "p3"));
}

// One board at once: in all, or at the hub of p1 and p2.
class OneAtOnceTest : public LimitTest,
                      public ::testing::WithParamInterface<std::tuple<bool, const char*>> {
 protected:
  OneAtOnceTest() {
    (std::get<bool>(GetParam()) ? options_.max_running : options_.max_running_per_hub) = 1;
  }
  static const char* Point() { return std::get<const char*>(GetParam()); }
};

class WhileItIsWrittenToTest : public OneAtOnceTest {};

TEST_P(WhileItIsWrittenToTest, ABoardKeepsTheNextOneWaiting) {
  Plug("p1", 1);
  Plug("p2", 2);
  StartStation();
  HoldAt(Point());
  const Deployment first = Deploy("p1");
  AwaitHeld();
  const Deployment second = Deploy("p2");

  EXPECT_EQ(Get(second.id).state, DeploymentState::kPending);
  EXPECT_EQ(scheduler_->RunningOn("p2"), "");
  Resume();
  EXPECT_EQ(AwaitEnd(first.id).state, DeploymentState::kSucceeded);
  EXPECT_EQ(AwaitEnd(second.id).state, DeploymentState::kSucceeded);
}

TEST_P(WhileItIsWrittenToTest, ACancelledBoardLeavesItsPlace) {
  Plug("p1", 1);
  Plug("p2", 2);
  StartStation();
  HoldAt(Point());
  const Deployment first = Deploy("p1");
  AwaitHeld();
  const Deployment second = Deploy("p2");
  ASSERT_TRUE(scheduler_->Cancel(first.id).ok());
  Resume();

  EXPECT_EQ(AwaitEnd(first.id).state, DeploymentState::kCanceled);
  EXPECT_EQ(AwaitEnd(second.id).state, DeploymentState::kSucceeded);
}

TEST_P(WhileItIsWrittenToTest, AnInterruptedBoardHasItsPlaceAgainAfterARestart) {
  Plug("p1", 1);
  StartStation();
  CrashAt(Point());
  const Deployment first = Deploy("p1");
  AwaitCrash();
  StopStation();
  HoldAt("connect:enter");
  Plug("p2", 2);
  Restart();
  AwaitHeld();
  const Deployment second = Deploy("p2");

  EXPECT_EQ(Get(second.id).state, DeploymentState::kPending);
  EXPECT_EQ(scheduler_->RunningOn("p1"), first.id);
  Resume();
  EXPECT_EQ(AwaitEnd(first.id).state, DeploymentState::kSucceeded);
  EXPECT_EQ(AwaitEnd(second.id).state, DeploymentState::kSucceeded);
}

INSTANTIATE_TEST_SUITE_P(Points, WhileItIsWrittenToTest,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values("connect:enter", "flash:enter",
                                                              "flash:half", "verify:enter")));

class OnceItIsVerifiedTest : public OneAtOnceTest {};

TEST_P(OnceItIsVerifiedTest, ABoardKeepsNoOrderWaiting) {
  Plug("p1", 1);
  Plug("p2", 2);
  StartStation();
  HoldAt(Point());
  const Deployment first = Deploy("p1");
  const Deployment second = Deploy("p2");
  AwaitStep(second.id, v1::STEP_BOOT);

  EXPECT_EQ(scheduler_->RunningOn("p1"), first.id) << "it has not ended";
  Resume();
  EXPECT_EQ(AwaitEnd(first.id).state, DeploymentState::kSucceeded);
  EXPECT_EQ(AwaitEnd(second.id).state, DeploymentState::kSucceeded);
}

TEST_P(OnceItIsVerifiedTest, ABoardKeepsNoBatchWaiting) {
  Plug("p1", 1);
  Plug("p2", 2);
  StartStation();
  HoldAt(Point());
  const std::string id = Order(2);

  AwaitBatch(id, [](const Batch& batch) { return batch.running == 2; });
  Resume();
  AwaitSucceeded(id, 2);
}

TEST_P(OnceItIsVerifiedTest, ABoardNeedsNoPlaceAfterARestart) {
  Plug("p1", 1);
  StartStation();
  CrashAt(Point());
  const Deployment first = Deploy("p1");
  AwaitCrash();
  StopStation();
  HoldAt("connect:enter");
  Plug("p2", 2);
  Restart();
  AwaitStep(first.id, v1::STEP_CONNECT);
  const Deployment second = Deploy("p2");

  AwaitStep(second.id, v1::STEP_CONNECT);
  EXPECT_EQ(scheduler_->RunningOn("p1"), first.id);
  Resume();
  EXPECT_EQ(AwaitEnd(first.id).state, DeploymentState::kSucceeded);
  EXPECT_EQ(AwaitEnd(second.id).state, DeploymentState::kSucceeded);
}

INSTANTIATE_TEST_SUITE_P(Points, OnceItIsVerifiedTest,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values("boot:enter", "confirm:enter")));

}  // namespace
}  // namespace kiln::pipeline
