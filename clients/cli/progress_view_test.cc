#include "clients/cli/progress_view.h"

#include <string>
#include <vector>

#include "clients/cli/table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

v1::Deployment MakeDeployment(const std::string& name, v1::Deployment::State state,
                              int64_t sequence) {
  v1::Deployment deployment;
  deployment.set_name(name);
  deployment.set_state(state);
  deployment.set_sequence(sequence);
  deployment.set_requested_port("usb-1-2");
  deployment.mutable_customer()->set_customer_id("BGK001");
  return deployment;
}

v1::WatchEventsResponse SnapshotOf(const std::vector<v1::Deployment>& deployments) {
  v1::WatchEventsResponse message;
  for (const v1::Deployment& deployment : deployments) {
    *message.mutable_snapshot()->add_deployments() = deployment;
    message.mutable_snapshot()->set_last_sequence(
        std::max(message.snapshot().last_sequence(), deployment.sequence()));
  }
  return message;
}

v1::WatchEventsResponse EventOf(const v1::Deployment& deployment) {
  v1::WatchEventsResponse message;
  message.mutable_event()->set_sequence(deployment.sequence());
  *message.mutable_event()->mutable_deployment() = deployment;
  return message;
}

v1::WatchEventsResponse ProgressOf(const std::string& name, int percent) {
  v1::WatchEventsResponse message;
  message.mutable_progress()->set_deployment(name);
  message.mutable_progress()->set_step(v1::STEP_FLASH);
  message.mutable_progress()->set_progress_percent(percent);
  message.mutable_progress()->set_bytes_per_second(140 << 10);
  return message;
}

TEST(ProgressViewTest, EndsWhenEveryNamedDeploymentHasEnded) {
  ProgressView view({"deployments/a", "deployments/b"});
  view.Apply(SnapshotOf({MakeDeployment("deployments/a", v1::Deployment::STATE_SUCCEEDED, 3)}));
  EXPECT_FALSE(view.AllEnded()) << "b is not known yet";
  view.Apply(EventOf(MakeDeployment("deployments/b", v1::Deployment::STATE_RUNNING, 4)));
  EXPECT_FALSE(view.AllEnded());
  view.Apply(EventOf(MakeDeployment("deployments/b", v1::Deployment::STATE_FAILED, 5)));
  EXPECT_TRUE(view.AllEnded());
  EXPECT_FALSE(view.AllSucceeded());
}

TEST(ProgressViewTest, DropsWhatItHasSeenBefore) {
  ProgressView view({"deployments/a"});
  view.Apply(EventOf(MakeDeployment("deployments/a", v1::Deployment::STATE_SUCCEEDED, 7)));
  EXPECT_FALSE(
      view.Apply(EventOf(MakeDeployment("deployments/a", v1::Deployment::STATE_RUNNING, 6))));
  EXPECT_FALSE(
      view.Apply(SnapshotOf({MakeDeployment("deployments/a", v1::Deployment::STATE_RUNNING, 5)})));
  EXPECT_TRUE(view.AllSucceeded());
}

TEST(ProgressViewTest, WatchingEverythingLeavesHistoryOut) {
  ProgressView view({});
  view.Apply(SnapshotOf({MakeDeployment("deployments/old", v1::Deployment::STATE_SUCCEEDED, 1),
                         MakeDeployment("deployments/new", v1::Deployment::STATE_PENDING, 2)}));
  ASSERT_THAT(view.deployments(), SizeIs(1));
  EXPECT_EQ(view.deployments()[0]->name(), "deployments/new");
  EXPECT_FALSE(view.AllEnded());
}

TEST(ProgressViewTest, WatchingEverythingEndsAtOnceWhenNothingIsActive) {
  ProgressView view({});
  view.Apply(SnapshotOf({}));
  EXPECT_TRUE(view.AllEnded());
  EXPECT_THAT(view.deployments(), IsEmpty());
}

TEST(ProgressViewTest, ShowsLiveProgressAndForgetsItAtTheEnd) {
  const Texts texts(Language::kEnglish);
  ProgressView view({"deployments/a"});
  view.Apply(EventOf(MakeDeployment("deployments/a", v1::Deployment::STATE_RUNNING, 1)));
  ASSERT_TRUE(view.Apply(ProgressOf("deployments/a", 42)));
  EXPECT_THAT(view.Render(texts, 120)[0], HasSubstr("42%  flash  140 KiB/s"));
  view.Apply(EventOf(MakeDeployment("deployments/a", v1::Deployment::STATE_FAILED, 2)));
  EXPECT_FALSE(view.Apply(ProgressOf("deployments/a", 43)));
  EXPECT_THAT(view.Render(texts, 120)[0], Not(HasSubstr("43%")));
}

TEST(ProgressViewTest, ANarrowScreenLosesTheBarNotTheState) {
  const Texts texts(Language::kThai);
  ProgressView view({"deployments/a"});
  view.Apply(EventOf(MakeDeployment("deployments/a", v1::Deployment::STATE_PENDING, 1)));
  const std::string line = view.Render(texts, 60)[0];
  EXPECT_LE(DisplayWidth(line), 60);
  EXPECT_THAT(line, HasSubstr("รอบอร์ด"));
}

}  // namespace
}  // namespace kiln::cli
