// Batches across restarts of the daemon: what crashes leave, and boards that stay where they are.
#include <map>
#include <string>
#include <utility>

#include "daemon/pipeline/batch_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::pipeline {
namespace {

using storage::Batch;
using storage::BatchState;
using storage::Deployment;
using storage::DeploymentState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BatchRestartTest : public BatchFixture {};

TEST_F(BatchRestartTest, ABoardThatMovedBeforeItsDeploymentEndedIsNotTakenTwice) {
  StartStation();
  const std::string id = Order(2);
  CrashAt("flash:half");
  Plug("p1", 1);
  AwaitCrash();
  StopStation();
  registry_.Unplug("p1");
  Plug("p2", 1);
  Restart();
  const Batch refused = AwaitBatch(id, [](const Batch& batch) { return batch.refused == 1; });
  EXPECT_EQ(refused.running, 1) << "the first deployment waits for its board";

  // Its own port gets it back: the deployment goes on.
  registry_.Unplug("p2");
  Plug("p1", 1);
  AwaitSucceeded(id, 1);
  ExpectEachBoardOnce(id);
}

class BatchCrashTest : public BatchFixture, public ::testing::WithParamInterface<const char*> {};

TEST_P(BatchCrashTest, MakesEachBoardOnceAndNoneTooMany) {
  StartStation();
  const std::string id = Order(2);
  CrashAt(GetParam());
  Plug("p1", 1);
  AwaitCrash();
  Restart();
  // A third board, while the first may still be under way.
  Plug("p2", 2);
  Plug("p3", 3);
  const Batch batch = AwaitSucceeded(id, 2);
  ExpectNothingMore(id, batch.accepted);

  EXPECT_EQ(batch.state, BatchState::kCompleted);
  EXPECT_EQ(batch.failed, 0);
  ExpectEachBoardOnce(id);
}

INSTANTIATE_TEST_SUITE_P(Points, BatchCrashTest,
                         ::testing::Values("batch:enter", "batch:leave", "prepare:enter",
                                           "identify:enter", "identify:leave", "flash:enter",
                                           "flash:half", "verify:leave", "confirm:leave",
                                           "export:enter", "export:leave", "outcome:enter"));

TEST_F(BatchRestartTest, AFinishedBoardThatIsStillThereAfterARestartIsRecognised) {
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(2);
  AwaitSucceeded(id, 1);

  Restart();
  AwaitIdle(id, 2);
  ExpectNothingMore(id, 2);

  EXPECT_THAT(ErrorsOf(id), ElementsAre("BOARD_ALREADY_MADE", ""));
  EXPECT_THAT(DeploymentsOf(id).front().error_detail, HasSubstr("in slot 1"));
  Plug("p1", 2);
  AwaitSucceeded(id, 2);
  ExpectEachBoardOnce(id);
}

TEST_F(BatchRestartTest, InARestoredLedgerItWaitsForAnOperator) {
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(2);
  AwaitSucceeded(id, 1);
  StopStation();
  // Made since the backup, for all that this ledger can know.
  Plug("p2", 2);

  options_.restored = true;
  Restart();

  ExpectNothingMore(id, 1);
  EXPECT_EQ(GetBatch(id).state, BatchState::kPaused);
  EXPECT_EQ(ProgrammedBytes(2), 0U);
  ASSERT_TRUE(batches_.Resume(id).ok());
  AwaitSucceeded(id, 2);
  ExpectEachBoardOnce(id);
}

TEST_F(BatchRestartTest, AnotherOrdersFinishedBoardThatIsStillThereAfterARestartIsLeftAlone) {
  Plug("p1", 1);
  StartStation();
  AwaitSucceeded(Order(1), 1);
  const std::string next = Order(1);
  ExpectNothingMore(next, 0);
  const uint64_t written = ProgrammedBytes(1);

  Restart();
  AwaitIdle(next, 1);
  ExpectNothingMore(next, 1);

  EXPECT_THAT(ErrorsOf(next), ElementsAre("BOARD_ALREADY_MADE"));
  EXPECT_EQ(ProgrammedBytes(1), written);
  // Plugged in anew it is meant for the next batch.
  Plug("p1", 1);
  AwaitSucceeded(next, 1);
}

TEST_F(BatchRestartTest, ANewBoardThatCameWhileTheStationWasDownIsTaken) {
  Plug("p1", 1);
  StartStation();
  AwaitSucceeded(Order(1), 1);
  const std::string next = Order(1);
  StopStation();
  Plug("p1", 2);

  Restart();

  AwaitSucceeded(next, 1);
  EXPECT_EQ(DeploymentsOf(next).front().mac, MacOf(2));
}

TEST_F(BatchRestartTest, ABoardAfterWhichItsPortMadeAnotherHasBeenPluggedInAgain) {
  Plug("p1", 1);
  StartStation();
  AwaitSucceeded(Order(1), 1);
  Plug("p1", 2);
  AwaitSucceeded(Order(1), 1);
  const std::string next = Order(1);
  StopStation();
  Plug("p1", 1);

  Restart();

  AwaitSucceeded(next, 1);
  EXPECT_EQ(DeploymentsOf(next).front().mac, MacOf(1));
}

TEST_F(BatchRestartTest, ABoardThatWasMadeAtAnotherPortHasBeenPluggedInAgain) {
  Plug("p1", 1);
  StartStation();
  AwaitSucceeded(Order(1), 1);
  const std::string next = Order(1);
  StopStation();
  registry_.Unplug("p1");
  Plug("p2", 1);

  Restart();

  AwaitSucceeded(next, 1);
}

TEST_F(BatchRestartTest, TheFirstBoardAfterTheStartMayHaveStayedAllAlong) {
  Plug("p1", 1);
  StartStation();
  AwaitSucceeded(Order(1), 1);
  const std::string next = Order(1);
  StopStation();
  registry_.Unplug("p1");

  Restart();
  // A computer that starts finds its boards later than its daemon does its work.
  Plug("p1", 1);
  AwaitIdle(next, 1);

  EXPECT_THAT(ErrorsOf(next), ElementsAre("BOARD_ALREADY_MADE"));
  Plug("p1", 1);
  AwaitSucceeded(next, 1);
}

TEST_F(BatchRestartTest, AnOrderThatNamesThePortTakesItsBoardWhateverItIs) {
  Plug("p1", 1);
  StartStation();
  AwaitSucceeded(Order(1), 1);

  Restart();
  const Deployment own = AwaitEnd(Deploy("p1").id);

  EXPECT_EQ(own.state, DeploymentState::kSucceeded) << own.error_detail;
  EXPECT_EQ(own.mac, MacOf(1));
}

TEST_F(BatchRestartTest, AnAllowedBoardIsMadeOnceMoreWhoeverMadeItLast) {
  Plug("p1", 1);
  StartStation();
  const std::string id = Order(2);
  AwaitSucceeded(id, 1);
  AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);
  ASSERT_TRUE(batches_.Pause(id).ok());
  ASSERT_TRUE(batches_.AllowBoard(id, MacOf(1)).ok());

  Restart();
  ASSERT_TRUE(batches_.Resume(id).ok());
  AwaitIdle(id, 2);
  ExpectNothingMore(id, 2);

  EXPECT_THAT(ErrorsOf(id), ElementsAre("", ""));
}

TEST_F(BatchRestartTest, ARefusedBoardLeavesItsCustomerToTheNextOne) {
  Plug("p1", 1);
  StartStation();
  AwaitSucceeded(Order(1), 1);
  const std::string list = OrderFor({"AAA001", "BBB002"});

  Restart();
  AwaitIdle(list, 1);
  Plug("p2", 2);
  AwaitSucceeded(list, 1);
  Plug("p1", 3);
  AwaitSucceeded(list, 2);

  std::map<std::string, std::string> made;
  for (const Deployment& row : DeploymentsOf(list)) {
    if (row.state == DeploymentState::kSucceeded) made[row.customer_id] = row.mac;
  }
  EXPECT_THAT(made, ElementsAre(std::pair("AAA001", MacOf(2)), std::pair("BBB002", MacOf(3))));
}

}  // namespace
}  // namespace kiln::pipeline
