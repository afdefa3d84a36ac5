#include "clients/cli/batch_view.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

v1::Batch MakeBatch(int64_t sequence, int succeeded, int running) {
  v1::Batch batch;
  batch.set_name("batches/b1");
  batch.set_state(v1::Batch::STATE_ACTIVE);
  batch.set_count(50);
  batch.set_succeeded(succeeded);
  batch.set_running(running);
  batch.set_remaining(50 - succeeded);
  batch.set_sequence(sequence);
  return batch;
}

v1::WatchEventsResponse EventOf(const v1::Batch& batch) {
  v1::WatchEventsResponse message;
  message.mutable_event()->set_sequence(batch.sequence());
  *message.mutable_event()->mutable_batch() = batch;
  return message;
}

v1::WatchEventsResponse EventOf(int64_t sequence, int slot, v1::Deployment::State state) {
  v1::WatchEventsResponse message;
  message.mutable_event()->set_sequence(sequence);
  v1::Deployment& deployment = *message.mutable_event()->mutable_deployment();
  deployment.set_name(absl::StrCat("deployments/d", slot));
  deployment.set_batch("batches/b1");
  deployment.set_batch_slot(slot);
  deployment.set_port(absl::StrCat("usb-1-", slot));
  deployment.set_mac(absl::StrCat("7c:df:a1:00:00:0", slot));
  deployment.set_state(state);
  deployment.set_step(v1::STEP_FLASH);
  deployment.set_progress_percent(40);
  deployment.set_sequence(sequence);
  if (state == v1::Deployment::STATE_FAILED) deployment.mutable_failure()->set_code("BOARD_SILENT");
  return message;
}

class BatchViewTest : public ::testing::Test {
 protected:
  std::string Screen(int columns = 120) {
    return absl::StrJoin(view_.Render(texts_, columns), "\n");
  }

  const Texts texts_{Language::kEnglish};
  BatchView view_{MakeBatch(1, 0, 0)};
};

TEST_F(BatchViewTest, ShowsCountsAndTheSlotsUnderWay) {
  EXPECT_TRUE(view_.Apply(EventOf(2, 1, v1::Deployment::STATE_RUNNING)));
  EXPECT_TRUE(view_.Apply(EventOf(MakeBatch(3, 12, 1))));
  v1::WatchEventsResponse progress;
  progress.mutable_progress()->set_deployment("deployments/d1");
  progress.mutable_progress()->set_step(v1::STEP_VERIFY);
  progress.mutable_progress()->set_progress_percent(70);
  EXPECT_TRUE(view_.Apply(progress));

  EXPECT_THAT(Screen(), HasSubstr("12 of 50"));
  EXPECT_THAT(Screen(), HasSubstr("70%  verify"));
  EXPECT_THAT(Screen(60), Not(HasSubstr("█")));
}

TEST_F(BatchViewTest, TellsEachEndOnce) {
  EXPECT_TRUE(view_.Apply(EventOf(2, 1, v1::Deployment::STATE_RUNNING)));
  EXPECT_TRUE(view_.Apply(EventOf(4, 1, v1::Deployment::STATE_SUCCEEDED)));
  EXPECT_TRUE(view_.Apply(EventOf(5, 2, v1::Deployment::STATE_FAILED)));
  EXPECT_FALSE(view_.Apply(EventOf(4, 1, v1::Deployment::STATE_SUCCEEDED))) << "seen already";

  EXPECT_THAT(view_.TakeNews(texts_),
              ElementsAre(HasSubstr("7c:df:a1:00:00:01"), HasSubstr("BOARD_SILENT")));
  EXPECT_THAT(view_.TakeNews(texts_), IsEmpty());
  EXPECT_THAT(Screen(), Not(HasSubstr("40%")));
}

TEST_F(BatchViewTest, IsOverWhenNothingIsUnderWayAnyMore) {
  v1::Batch ended = MakeBatch(2, 3, 1);
  ended.set_state(v1::Batch::STATE_ENDED);
  view_.Apply(EventOf(ended));
  EXPECT_FALSE(view_.Ended());
  ended.set_sequence(3);
  ended.set_running(0);
  view_.Apply(EventOf(ended));
  EXPECT_TRUE(view_.Ended());
}

TEST_F(BatchViewTest, OtherBatchesAreOfNoConcern) {
  v1::Batch other = MakeBatch(9, 50, 0);
  other.set_name("batches/b2");
  EXPECT_FALSE(view_.Apply(EventOf(other)));
  v1::WatchEventsResponse message = EventOf(10, 1, v1::Deployment::STATE_RUNNING);
  message.mutable_event()->mutable_deployment()->set_batch("batches/b2");
  EXPECT_FALSE(view_.Apply(message));
}

TEST_F(BatchViewTest, SpeaksThai) {
  EXPECT_THAT(DescribeBatch(MakeBatch(1, 12, 0), Texts(Language::kThai)), HasSubstr("ชิ้น"));
}

}  // namespace
}  // namespace kiln::cli
