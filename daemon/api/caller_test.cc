// Who may call what: roles and actors in the metadata, against a running server.
#include "daemon/api/caller.h"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/api/methods.h"
#include "daemon/api/testing/api_fixture.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"

namespace kiln::api::testing {
namespace {

using Metadata = std::vector<std::pair<std::string, std::string>>;

class CallerTest : public ApiTest {
 protected:
  static std::unique_ptr<grpc::ClientContext> As(const Metadata& metadata) {
    auto context = Context();
    for (const auto& [key, value] : metadata) context->AddMetadata(key, value);
    return context;
  }

  // The status of `method` with an empty request, whichever kind of call it is.
  grpc::Status Call(const std::string& method, const Metadata& metadata) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const auto context = As(metadata);
    const auto call = stub.PrepareCall(context.get(), absl::StrCat("/", method), &queue);
    grpc::Status status;
    grpc::ByteBuffer answer;
    const auto step = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(this);
    step();
    grpc::Slice nothing;
    if (call->WriteLast(grpc::ByteBuffer(&nothing, 1), grpc::WriteOptions(), this); step()) {
      // A stream that is allowed sends something; one that is refused ends at once.
      call->Read(&answer, this);
      if (step() && method == kWatchEvents) context->TryCancel();
    }
    call->Finish(&status, this);
    step();
    return status;
  }

  grpc::Status Reveal(const std::string& name, const Metadata& metadata) {
    v1::RevealCredentialsRequest request;
    request.set_name(name);
    v1::RevealCredentialsResponse response;
    return deployments_->RevealCredentials(As(metadata).get(), request, &response);
  }

  std::string LastActor() {
    v1::ListEventsRequest request;
    request.mutable_filter()->add_kinds(v1::EVENT_KIND_AUDIT);
    v1::ListEventsResponse response;
    EXPECT_TRUE(station_->ListEvents(Context().get(), request, &response).ok());
    return response.events().empty() ? "" : response.events().rbegin()->audit().actor();
  }

  v1::Deployment Succeeded() {
    const v1::Deployment deployment = Create();
    scheduler_.Move(IdOf(deployment), storage::DeploymentState::kSucceeded, "SECRETSECRET");
    return deployment;
  }
};

TEST_F(CallerTest, EveryMethodHasItsRole) {
  for (const char* method : kAllMethods) {
    EXPECT_TRUE(RoleNeededFor(method).has_value()) << method << ": add it to kRoles in caller.cc";
  }
  EXPECT_FALSE(RoleNeededFor("kiln.v1.Station/Nothing").has_value());
}

TEST_F(CallerTest, UnknownRolesMayCallNothing) {
  for (const char* method : kAllMethods) {
    for (const char* role : {"", "root", "Admin", "admin ", "operator,admin"}) {
      EXPECT_EQ(Describe(Call(method, {{"kiln-role", role}})), "PERMISSION_DENIED NOT_ALLOWED")
          << method << " as \"" << role << "\"";
    }
  }
  EXPECT_EQ(Describe(Call(kGetStation, {{"kiln-role", "admin"}, {"kiln-role", "admin"}})),
            "PERMISSION_DENIED NOT_ALLOWED");
}

TEST_F(CallerTest, EachRoleMayCallWhatItsEntrySays) {
  const std::pair<const char*, Role> roles[] = {
      {"viewer", Role::kViewer}, {"operator", Role::kOperator}, {"admin", Role::kAdmin}};
  for (const char* method : kAllMethods) {
    for (const auto& [name, role] : roles) {
      const bool refused =
          Call(method, {{"kiln-role", name}}).error_code() == grpc::StatusCode::PERMISSION_DENIED;
      EXPECT_EQ(refused, role < RoleNeededFor(method)) << method << " as " << name;
    }
  }
}

TEST_F(CallerTest, WhoeverMayOpenTheSocketIsAdmin) { EXPECT_TRUE(Call(kVerifyLedger, {}).ok()); }

TEST_F(CallerTest, AuditEventsNameTheActor) {
  const std::string name = Succeeded().name();
  ASSERT_TRUE(Reveal(name, {}).ok());
  EXPECT_EQ(LastActor(), "local");
  ASSERT_TRUE(Reveal(name, {{"kiln-role", "operator"}, {"kiln-actor", "somchai"}}).ok());
  EXPECT_EQ(LastActor(), "somchai");
  EXPECT_EQ(Describe(Reveal(name, {{"kiln-role", "viewer"}, {"kiln-actor", "guest"}})),
            "PERMISSION_DENIED NOT_ALLOWED");
  EXPECT_EQ(LastActor(), "somchai") << "what is refused reveals nothing";
  ASSERT_TRUE(Reveal(name, {{"kiln-actor", std::string(5000, 'x')}}).ok());
  EXPECT_EQ(LastActor().size(), 100u);
}

TEST_F(CallerTest, RecordIsAnsweredOnceTheAuditIsInTheLedger) {
  const v1::Deployment deployment = Create();
  v1::GetRecordRequest request;
  request.set_name(deployment.name());
  request.set_reason("label lost");
  v1::GetRecordResponse response;
  EXPECT_EQ(Describe(deployments_->GetRecord(Context().get(), request, &response)),
            "FAILED_PRECONDITION DEPLOYMENT_STATE_WRONG");
  EXPECT_EQ(LastActor(), "");

  scheduler_.Move(IdOf(deployment), storage::DeploymentState::kSucceeded, "SECRETSECRET");
  const auto context = As({{"kiln-role", "operator"}, {"kiln-actor", "somchai"}});
  ASSERT_TRUE(deployments_->GetRecord(context.get(), request, &response).ok());
  EXPECT_THAT(response.json(), ::testing::HasSubstr("SECRETSECRET"));
  EXPECT_EQ(response.file_name(), "customer.json");
  EXPECT_EQ(LastActor(), "somchai");

  request.set_name("deployments/none");
  EXPECT_EQ(Describe(deployments_->GetRecord(Context().get(), request, &response)),
            "NOT_FOUND DEPLOYMENT_NOT_FOUND");
}

TEST_F(CallerTest, StatisticsCountWhatTheLedgerHas) {
  using storage::DeploymentState;
  for (const DeploymentState state :
       {DeploymentState::kSucceeded, DeploymentState::kSucceeded, DeploymentState::kSucceeded,
        DeploymentState::kFailed, DeploymentState::kCanceled, DeploymentState::kPending}) {
    scheduler_.Move(IdOf(Create()), state);
  }
  v1::GetStatisticsRequest request;
  v1::Statistics statistics;
  ASSERT_TRUE(station_->GetStatistics(Context().get(), request, &statistics).ok());
  EXPECT_EQ(statistics.succeeded(), 3);
  EXPECT_EQ(statistics.failed(), 1);
  EXPECT_EQ(statistics.canceled(), 1);
  EXPECT_EQ(statistics.pending(), 1);
  EXPECT_EQ(statistics.succeeded_first_attempt(), 3);
  EXPECT_DOUBLE_EQ(statistics.first_pass_yield(), 0.75);

  request.mutable_end_time()->set_seconds(1);
  ASSERT_TRUE(station_->GetStatistics(Context().get(), request, &statistics).ok());
  EXPECT_EQ(statistics.succeeded(), 0);
  EXPECT_FALSE(statistics.has_first_pass_yield());

  request.mutable_start_time()->set_seconds(2);
  EXPECT_EQ(Describe(station_->GetStatistics(Context().get(), request, &statistics)),
            "INVALID_ARGUMENT REQUEST_INVALID end_time");
}

TEST_F(CallerTest, FilterFindsPartOfATextOfTheOrder) {
  v1::CreateDeploymentRequest order = OrderRequest();
  order.mutable_customer()->set_organization("โรงพยาบาลกรุงเทพ 100%");
  const v1::Deployment wanted = Create(order);
  Create();
  v1::ListDeploymentsRequest request;
  v1::ListDeploymentsResponse response;
  for (const char* text : {"กรุงเทพ", "100%"}) {
    request.mutable_filter()->set_text(text);
    ASSERT_TRUE(deployments_->ListDeployments(Context().get(), request, &response).ok());
    ASSERT_EQ(response.deployments_size(), 1) << text;
    EXPECT_EQ(response.deployments(0).name(), wanted.name());
  }
  request.mutable_filter()->set_text("%");
  ASSERT_TRUE(deployments_->ListDeployments(Context().get(), request, &response).ok());
  EXPECT_EQ(response.deployments_size(), 1) << "a percent sign is a character, not a wildcard";
  request.mutable_filter()->set_text(std::string(101, 'x'));
  EXPECT_EQ(Describe(deployments_->ListDeployments(Context().get(), request, &response)),
            "INVALID_ARGUMENT REQUEST_INVALID filter.text");
}

}  // namespace
}  // namespace kiln::api::testing
