#include "daemon/api/deployments_service.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/api/caller.h"
#include "daemon/api/lookup.h"
#include "daemon/api/methods.h"
#include "daemon/api/page_token.h"
#include "daemon/api/request_time.h"
#include "daemon/api/resource_name.h"
#include "daemon/api/rpc_error.h"
#include "daemon/api/unary.h"
#include "daemon/api/wire/rpc_wire.h"
#include "daemon/pipeline/messages.h"
#include "errors/error.h"

namespace kiln::api {
namespace {

// Longest reason kept in an audit event, in bytes.
constexpr size_t kMaxReasonBytes = 300;
// As the contract has it.
constexpr size_t kMaxFilterTextBytes = 100;

absl::Status ApplyFilter(const v1::DeploymentFilter& filter, storage::DeploymentQuery& query) {
  for (const int state : filter.states()) {
    if (!v1::Deployment::State_IsValid(state) || state == v1::Deployment::STATE_UNSPECIFIED) {
      return FieldError("filter.states", absl::StrCat("has no state ", state));
    }
    // The contract and the ledger share their numbers.
    query.states.push_back(static_cast<storage::DeploymentState>(state));
  }
  query.customer_id = filter.customer_id();
  query.mac = absl::AsciiStrToLower(filter.mac());
  query.port = filter.port();
  if (!filter.bundle().empty()) {
    ASSIGN_OR_RETURN(query.bundle_id, BundleIdOf(filter.bundle(), "filter.bundle"));
  }
  if (!filter.batch().empty()) {
    ASSIGN_OR_RETURN(query.batch_id, ParseResourceName(filter.batch(), "batches", "filter.batch"));
  }
  if (filter.has_created_after()) {
    ASSIGN_OR_RETURN(query.created_after, TimeOf(filter.created_after(), "filter.created_after"));
  }
  if (filter.has_created_before()) {
    ASSIGN_OR_RETURN(query.created_before,
                     TimeOf(filter.created_before(), "filter.created_before"));
  }
  if (filter.text().size() > kMaxFilterTextBytes) {
    return FieldError("filter.text",
                      absl::StrCat("must be at most ", kMaxFilterTextBytes, " bytes"));
  }
  query.text = filter.text();
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* DeploymentsService::CreateDeployment(
    grpc::CallbackServerContext* context, const v1::CreateDeploymentRequest* request,
    v1::Deployment* response) {
  return Answer<v1::Deployment>(parts_, *parts_.quick, context, kCreateDeployment, response,
                                [this, request] { return Create(*request); });
}

absl::StatusOr<v1::Deployment> DeploymentsService::Create(
    const v1::CreateDeploymentRequest& request) const {
  RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  if (request.port().empty()) return FieldError("port", "must name a port, or be \"any\"");
  pipeline::Order order;
  order.request_id = absl::AsciiStrToLower(request.request_id());
  order.customer = {request.customer().organization(), request.customer().customer_id(),
                    request.customer().application_name(), request.customer().expiry_date()};
  ASSIGN_OR_RETURN(order.bundle, BundleIdOf(request.bundle(), "bundle"));
  order.port = request.port();
  ASSIGN_OR_RETURN(const storage::Deployment deployment,
                   parts_.scheduler->Create(order, request.validate_only()));
  v1::Deployment message = pipeline::ToMessage(deployment);
  if (request.validate_only()) message.clear_name();
  return message;
}

grpc::ServerUnaryReactor* DeploymentsService::GetDeployment(grpc::CallbackServerContext* context,
                                                            const v1::GetDeploymentRequest* request,
                                                            v1::Deployment* response) {
  return Answer<v1::Deployment>(parts_, *parts_.quick, context, kGetDeployment, response,
                                [this, request]() -> absl::StatusOr<v1::Deployment> {
                                  ASSIGN_OR_RETURN(const storage::Deployment deployment,
                                                   FindDeployment(parts_, request->name()));
                                  return pipeline::ToMessage(deployment);
                                });
}

grpc::ServerUnaryReactor* DeploymentsService::ListDeployments(
    grpc::CallbackServerContext* context, const v1::ListDeploymentsRequest* request,
    v1::ListDeploymentsResponse* response) {
  return Answer<v1::ListDeploymentsResponse>(parts_, *parts_.quick, context, kListDeployments,
                                             response, [this, request] { return List(*request); });
}

absl::StatusOr<v1::ListDeploymentsResponse> DeploymentsService::List(
    const v1::ListDeploymentsRequest& request) const {
  ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), 50));
  const std::string bound = absl::StrCat("deployments:", request.filter().SerializeAsString());
  storage::DeploymentQuery query;
  ASSIGN_OR_RETURN(query.older_than_id, ParsePageToken(request.page_token(), bound));
  RETURN_IF_ERROR(ApplyFilter(request.filter(), query));
  query.limit = size + 1;  // one more tells whether there is a next page
  ASSIGN_OR_RETURN(std::vector<storage::Deployment> found, parts_.ledger->ListDeployments(query));

  v1::ListDeploymentsResponse response;
  const bool more = found.size() > static_cast<size_t>(size);
  if (more) {
    found.resize(size);
    response.set_next_page_token(MakePageToken(bound, found.back().id));
  }
  for (const storage::Deployment& deployment : found) {
    *response.add_deployments() = pipeline::ToMessage(deployment);
  }
  return response;
}

grpc::ServerUnaryReactor* DeploymentsService::CancelDeployment(
    grpc::CallbackServerContext* context, const v1::CancelDeploymentRequest* request,
    v1::Deployment* response) {
  return Answer<v1::Deployment>(
      parts_, *parts_.quick, context, kCancelDeployment, response,
      [this, request]() -> absl::StatusOr<v1::Deployment> {
        ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), "deployments"));
        ASSIGN_OR_RETURN(const storage::Deployment deployment, parts_.scheduler->Cancel(id));
        return pipeline::ToMessage(deployment);
      });
}

grpc::ServerUnaryReactor* DeploymentsService::RetryDeployment(
    grpc::CallbackServerContext* context, const v1::RetryDeploymentRequest* request,
    v1::Deployment* response) {
  return Answer<v1::Deployment>(
      parts_, *parts_.quick, context, kRetryDeployment, response,
      [this, request]() -> absl::StatusOr<v1::Deployment> {
        ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), "deployments"));
        RETURN_IF_ERROR(CheckRequestId(request->request_id()));
        ASSIGN_OR_RETURN(const storage::Deployment deployment,
                         parts_.scheduler->Retry(id, absl::AsciiStrToLower(request->request_id())));
        return pipeline::ToMessage(deployment);
      });
}

grpc::ServerUnaryReactor* DeploymentsService::RevealCredentials(
    grpc::CallbackServerContext* context, const v1::RevealCredentialsRequest* request,
    v1::RevealCredentialsResponse* response) {
  return Answer<v1::RevealCredentialsResponse>(
      parts_, *parts_.quick, context, kRevealCredentials, response,
      [this, request,
       caller = CallerOf(*context)]() -> absl::StatusOr<v1::RevealCredentialsResponse> {
        RETURN_IF_ERROR(caller.status());
        return Reveal(*request, caller->actor);
      });
}

absl::StatusOr<v1::RevealCredentialsResponse> DeploymentsService::Reveal(
    const v1::RevealCredentialsRequest& request, const std::string& actor) const {
  ASSIGN_OR_RETURN(const storage::Deployment deployment, FindDeployment(parts_, request.name()));
  if (deployment.wifi_password.empty()) {
    return errors::MakeError(errors::ErrorCode::kDeploymentStateWrong,
                             absl::StrCat(request.name(), " has no WiFi password yet"));
  }
  RETURN_IF_ERROR(Audit("reveal_credentials", request.name(), actor, request.reason()));
  v1::RevealCredentialsResponse response;
  response.set_wifi_ssid(deployment.wifi_ssid);
  response.set_wifi_password(deployment.wifi_password);
  return response;
}

absl::Status DeploymentsService::Audit(absl::string_view action, const std::string& name,
                                       const std::string& actor, const std::string& reason) const {
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_AUDIT);
  v1::AuditEvent& audit = *event.mutable_audit();
  audit.set_action(std::string(action));
  audit.set_subject(name);
  audit.set_actor(actor);
  audit.set_reason(rpc::SafeText(reason, kMaxReasonBytes));
  return parts_.ledger->AppendEvent(pipeline::DraftOf(event, name)).status();
}

grpc::ServerUnaryReactor* DeploymentsService::GetRecord(grpc::CallbackServerContext* context,
                                                        const v1::GetRecordRequest* request,
                                                        v1::GetRecordResponse* response) {
  return Answer<v1::GetRecordResponse>(
      parts_, *parts_.quick, context, kGetRecord, response,
      [this, request, caller = CallerOf(*context)]() -> absl::StatusOr<v1::GetRecordResponse> {
        RETURN_IF_ERROR(caller.status());
        ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), "deployments"));
        ASSIGN_OR_RETURN(const pipeline::RecordFile record, parts_.scheduler->RecordOf(id));
        RETURN_IF_ERROR(Audit("get_record", request->name(), caller->actor, request->reason()));
        v1::GetRecordResponse answer;
        answer.set_file_name(record.name);
        answer.set_json(record.json);
        return answer;
      });
}

}  // namespace kiln::api
