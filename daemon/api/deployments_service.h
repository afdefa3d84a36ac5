#ifndef KILN_DAEMON_API_DEPLOYMENTS_SERVICE_H_
#define KILN_DAEMON_API_DEPLOYMENTS_SERVICE_H_

#include <string>

#include "daemon/api/api_parts.h"
#include "kiln/v1/deployments.grpc.pb.h"

namespace kiln::api {

// kiln.v1.Deployments. Rejections of its own: RequestInvalid for malformed names, request ids,
// tokens and filters, DeploymentNotFound, DeploymentStateWrong for a password that does not exist
// yet; everything else is the scheduler's. Owned by the API server.
class DeploymentsService final : public v1::Deployments::CallbackService {
 public:
  explicit DeploymentsService(const ApiParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* CreateDeployment(grpc::CallbackServerContext* context,
                                             const v1::CreateDeploymentRequest* request,
                                             v1::Deployment* response) override;
  grpc::ServerUnaryReactor* GetDeployment(grpc::CallbackServerContext* context,
                                          const v1::GetDeploymentRequest* request,
                                          v1::Deployment* response) override;
  grpc::ServerUnaryReactor* ListDeployments(grpc::CallbackServerContext* context,
                                            const v1::ListDeploymentsRequest* request,
                                            v1::ListDeploymentsResponse* response) override;
  grpc::ServerUnaryReactor* CancelDeployment(grpc::CallbackServerContext* context,
                                             const v1::CancelDeploymentRequest* request,
                                             v1::Deployment* response) override;
  grpc::ServerUnaryReactor* RetryDeployment(grpc::CallbackServerContext* context,
                                            const v1::RetryDeploymentRequest* request,
                                            v1::Deployment* response) override;
  grpc::ServerUnaryReactor* RevealCredentials(grpc::CallbackServerContext* context,
                                              const v1::RevealCredentialsRequest* request,
                                              v1::RevealCredentialsResponse* response) override;
  grpc::ServerUnaryReactor* GetRecord(grpc::CallbackServerContext* context,
                                      const v1::GetRecordRequest* request,
                                      v1::GetRecordResponse* response) override;

 private:
  absl::StatusOr<v1::Deployment> Create(const v1::CreateDeploymentRequest& request) const;
  absl::StatusOr<v1::ListDeploymentsResponse> List(const v1::ListDeploymentsRequest& request) const;
  // The audit event is in the ledger before the secret leaves it.
  absl::StatusOr<v1::RevealCredentialsResponse> Reveal(const v1::RevealCredentialsRequest& request,
                                                       const std::string& actor) const;
  // Puts into the ledger that somebody sees a secret of the deployment `name`.
  absl::Status Audit(absl::string_view action, const std::string& name, const std::string& actor,
                     const std::string& reason) const;

  const ApiParts& parts_;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_DEPLOYMENTS_SERVICE_H_
