#include "daemon/api/build_stream.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/api/caller.h"
#include "daemon/api/testing/api_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::api::testing {
namespace {

using ::testing::ElementsAre;

class BuildBundleTest : public ApiTest {
 protected:
  static v1::BuildBundleRequest Request(const std::string& name) {
    v1::BuildBundleRequest request;
    request.set_template_("zip");
    request.set_template_name(name);
    request.set_title("Greeter");
    (*request.mutable_values())["v"] = "1.2";
    return request;
  }

  // One call; its outcome as Describe has it.
  std::string Build(const v1::BuildBundleRequest& request) {
    messages_.clear();
    const auto context = Context();
    const auto reader = firmware_->BuildBundle(context.get(), request);
    v1::BuildBundleResponse message;
    while (reader->Read(&message)) messages_.push_back(message);
    return Describe(reader->Finish());
  }

  // "stage 1", "log line 0", "result".
  std::vector<std::string> Kinds() const {
    std::vector<std::string> kinds;
    for (const v1::BuildBundleResponse& message : messages_) {
      kinds.push_back(message.has_result() ? "result"
                      : message.payload_case() == v1::BuildBundleResponse::kStage
                          ? absl::StrCat("stage ", message.stage())
                          : absl::StrCat("log ", message.log_line()));
    }
    return kinds;
  }

  int BundleEvents() {
    v1::ListEventsRequest request;
    request.mutable_filter()->add_kinds(v1::EVENT_KIND_BUNDLE);
    v1::ListEventsResponse response;
    EXPECT_TRUE(station_->ListEvents(Context().get(), request, &response).ok());
    return response.events_size();
  }

  std::vector<v1::BuildBundleResponse> messages_;
};

TEST_F(BuildBundleTest, StreamsStagesOutputAndTheResult) {
  EXPECT_EQ(Build(Request("good")), "OK");

  EXPECT_THAT(Kinds(), ElementsAre("stage 1", "stage 2", "log line 0", "log line 1", "result"));
  const v1::BuildResult& result = messages_.back().result();
  EXPECT_EQ(result.bundle().title(), "Greeter");
  EXPECT_EQ(result.bundle().version(), "1.2");
  EXPECT_FALSE(result.from_cache());
  EXPECT_EQ(BundleEvents(), 1);
}

TEST_F(BuildBundleTest, WhatWasThereIsNoNewEvent) {
  EXPECT_EQ(Build(Request("cached")), "OK");

  EXPECT_TRUE(messages_.back().result().from_cache());
  EXPECT_EQ(BundleEvents(), 0);
}

TEST_F(BuildBundleTest, ABundleToStandOnIsNamedAsBundlesAre) {
  v1::BuildBundleRequest request = Request("good");
  request.set_base_bundle("bundles/0123abcd");
  EXPECT_EQ(Build(request), "OK");
  EXPECT_EQ(messages_.back().result().bundle().provenance().facts().at("base_bundle"), "0123abcd");

  request.set_base_bundle("batches/0123abcd");
  EXPECT_EQ(Build(request), "INVALID_ARGUMENT REQUEST_INVALID base_bundle");
}

TEST_F(BuildBundleTest, AFailureComesBehindTheOutput) {
  EXPECT_EQ(Build(Request("fails")), "FAILED_PRECONDITION BUILD_FAILED");

  EXPECT_THAT(Kinds(), ElementsAre("stage 1", "stage 2", "log line 0", "log line 1"));
}

TEST_F(BuildBundleTest, ALongOutputArrivesOrIsCounted) {
  EXPECT_EQ(Build(Request("talks")), "OK");

  EXPECT_TRUE(messages_.back().has_result());
  // Whatever the pace, the end of what was taken is told: lines, or how many were left out.
  EXPECT_GE(messages_.size(), BuildStream::kMaxWaiting);
}

TEST_F(BuildBundleTest, AClientThatGoesAwayEndsTheBuildAndTheNextOneRuns) {
  {
    const auto context = Context();
    const auto reader = firmware_->BuildBundle(context.get(), Request("hangs"));
    v1::BuildBundleResponse message;
    while (reader->Read(&message) && message.log_line() != "line 1") {
    }
    context->TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  // One at a time: this one waits for the end of the other.
  EXPECT_EQ(Build(Request("good")), "OK");
  EXPECT_EQ(builder_.cancelled(), 1);
}

TEST_F(BuildBundleTest, AStationThatStopsEndsTheBuild) {
  const auto context = Context();
  const auto reader = firmware_->BuildBundle(context.get(), Request("hangs"));
  v1::BuildBundleResponse message;
  while (reader->Read(&message) && message.log_line() != "line 1") {
  }
  server_->Stop(absl::ZeroDuration());

  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_EQ(builder_.cancelled(), 1);
}

TEST_F(BuildBundleTest, RefusesWhatIsTooMuch) {
  v1::BuildBundleRequest request = Request("good");
  request.clear_template_();
  EXPECT_EQ(Build(request), "INVALID_ARGUMENT REQUEST_INVALID template");
  request.set_template_(std::string((3 << 20) + 1, 'x'));
  EXPECT_EQ(Build(request), "INVALID_ARGUMENT REQUEST_INVALID template");
  request = Request(std::string(256, 'x'));
  EXPECT_EQ(Build(request), "INVALID_ARGUMENT REQUEST_INVALID template_name");
  request = Request("good");
  (*request.mutable_values())["v"] = std::string(1025, 'x');
  EXPECT_EQ(Build(request), "INVALID_ARGUMENT REQUEST_INVALID values");
}

TEST_F(BuildBundleTest, IsForAdmins) {
  const auto context = Context();
  context->AddMetadata(kRoleMetadata, "operator");
  const auto reader = firmware_->BuildBundle(context.get(), Request("good"));
  v1::BuildBundleResponse message;

  EXPECT_FALSE(reader->Read(&message));
  EXPECT_EQ(Describe(reader->Finish()), "PERMISSION_DENIED NOT_ALLOWED");
}

}  // namespace
}  // namespace kiln::api::testing
