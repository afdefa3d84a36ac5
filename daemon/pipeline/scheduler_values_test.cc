// What a board finds in its NVS partition beside its identity.
#include <cstdint>
#include <string>
#include <variant>

#include "daemon/firmware/bundle.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/pipeline/pipeline_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulator/nvs_reader.h"
#include "simulator/simulated_board.h"

namespace kiln::pipeline {
namespace {

using storage::Deployment;
using storage::DeploymentState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SchedulerValuesTest : public PipelineFixture {};

TEST_F(SchedulerValuesTest, TheBundlesOwnValuesAreWrittenBesideTheIdentity) {
  PlugBoard("p1", 1);
  const std::string base = bundle_;
  const auto derived = bundles_->Derive(
      base, {.nvs_values = {{"app", "ward", "ห้อง 7"}, {"app", "n", int32_t{-5}}}}, {});
  ASSERT_TRUE(derived.ok()) << derived.status();
  StartStation();
  AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);

  bundle_ = derived->bundle.id;
  const Deployment row = AwaitState(Deploy("p1").id, DeploymentState::kSucceeded);

  const firmware::Partition place = *derived->bundle.identity_partition();
  BoardAt("p1").WithBoard([&](simulator::SimulatedBoard& board) {
    const simulator::NvsContents nvs =
        simulator::ReadNvs(board.flash_memory().contents().subspan(place.offset, place.size));
    EXPECT_THAT(nvs.complaints, IsEmpty());
    EXPECT_EQ(nvs.StringAt("kiln", "ssid"), row.wifi_ssid);
    EXPECT_EQ(nvs.StringAt("app", "ward"), "ห้อง 7");
    EXPECT_EQ(std::get<int64_t>(nvs.namespaces.at("app").at("n")), -5);
  });
  DeploymentDetails details;
  ASSERT_TRUE(details.ParseFromString(row.details));
  EXPECT_LE(details.flash().written_bytes(), 24u * 1024) << "the images were there";
}

TEST_F(SchedulerValuesTest, AValueThatTakesTheIdentitysPlaceStopsBeforeABoardIsTouched) {
  PlugBoard("p1", 1);
  bundle_ = bundles_->Derive(bundle_, {.nvs_values = {{"kiln", "ssid", "free"}}}, {})->bundle.id;
  StartStation();

  const Deployment row = AwaitState(Deploy("p1").id, DeploymentState::kFailed);

  EXPECT_EQ(row.error_code, "IDENTITY_DOES_NOT_FIT");
  EXPECT_THAT(row.error_detail, HasSubstr("NVS value kiln.ssid"));
  EXPECT_EQ(BoardAt("p1").statistics().programmed_bytes, 0u);
}

}  // namespace
}  // namespace kiln::pipeline
