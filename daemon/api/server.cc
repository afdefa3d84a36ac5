#include "daemon/api/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "daemon/api/batches_service.h"
#include "daemon/api/boards_service.h"
#include "daemon/api/deployments_service.h"
#include "daemon/api/firmware_service.h"
#include "daemon/api/listen_socket.h"
#include "daemon/api/station_service.h"
#include "daemon/api/tls_check.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"

namespace kiln::api {
namespace {

// Largest request, as the contract's longest (a chunk of 1 MiB) and gRPC's own default have it.
constexpr int kMaxRequestBytes = 4 << 20;

// Threads and queue of the pools: short calls are milliseconds, long ones seconds.
constexpr int kQuickThreads = 4;
constexpr size_t kQuickQueue = 1000;
constexpr int kSlowThreads = 4;
constexpr size_t kSlowQueue = 32;
constexpr int kBuildThreads = 1;
constexpr size_t kBuildQueue = 2;

constexpr const char* kServiceNames[] = {"kiln.v1.Station", "kiln.v1.Boards", "kiln.v1.Deployments",
                                         "kiln.v1.Batches", "kiln.v1.Firmware"};

class GrpcServer final : public Server {
 public:
  GrpcServer(const ApiParts& parts, const ServerOptions& options)
      : parts_(WithPools(parts)), options_(options) {}
  ~GrpcServer() override { Stop(absl::ZeroDuration()); }

  absl::Status Start() {
    if (!options_.tls_address.empty()) {
      RETURN_IF_ERROR(
          CheckTlsMaterial(options_.tls_certificate, options_.tls_key, options_.tls_client_ca));
    }
    RETURN_IF_ERROR(PrepareSocketPath(options_.socket_path));
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    // Clients may ping every 30 s, even without calls; the server notices dead peers within 80 s.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 30'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    // Two daemons must not share a TCP port by accident.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(absl::StrCat("unix:", options_.socket_path),
                             grpc::InsecureServerCredentials());
    if (!options_.tls_address.empty()) {
      builder.AddListeningPort(options_.tls_address, TlsCredentials(), &tls_port_);
    }
    builder.RegisterService(&station_);
    builder.RegisterService(&boards_);
    builder.RegisterService(&deployments_);
    builder.RegisterService(&batches_);
    builder.RegisterService(&firmware_);

    // Nobody but the station's own user may connect between bind and chmod. The mask is the whole
    // process's, so it leaves that user's files usable for the threads that run already.
    const mode_t umask_before = ::umask(0077);
    server_ = builder.BuildAndStart();
    ::umask(umask_before);
    if (server_ == nullptr) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.socket_path,
                                                 options_.tls_address.empty() ? "" : " and ",
                                                 options_.tls_address));
    }
    if (!options_.tls_address.empty() && tls_port_ == 0) {
      return absl::InvalidArgumentError(absl::StrCat("cannot listen on ", options_.tls_address,
                                                     " with the configured certificates"));
    }
    for (const char* name : kServiceNames) {
      server_->GetHealthCheckService()->SetServingStatus(name, true);
    }
    return SetSocketAccess(options_.socket_path, options_.socket_mode, options_.socket_group);
  }

  int tls_port() const override { return tls_port_; }

  void SetNotServing() override {
    if (server_ != nullptr) server_->GetHealthCheckService()->SetServingStatus(false);
  }

  void Stop(absl::Duration timeout) override {
    if (server_ == nullptr || stopped_) return;
    stopped_ = true;
    SetNotServing();
    parts_.hub->Close();
    server_->Shutdown(absl::ToChronoTime(absl::Now() + timeout));
    server_->Wait();
    ::unlink(options_.socket_path.c_str());
  }

 private:
  ApiParts WithPools(ApiParts parts) {
    parts.quick = &quick_;
    parts.slow = &slow_;
    parts.builds = &builds_;
    return parts;
  }

  std::shared_ptr<grpc::ServerCredentials> TlsCredentials() const {
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = options_.tls_client_ca;
    tls.pem_key_cert_pairs.push_back({options_.tls_key, options_.tls_certificate});
    return grpc::SslServerCredentials(tls);
  }

  WorkPool quick_{kQuickThreads, kQuickQueue};
  WorkPool slow_{kSlowThreads, kSlowQueue};
  WorkPool builds_{kBuildThreads, kBuildQueue};
  const ApiParts parts_;
  const ServerOptions options_;
  StationService station_{parts_};
  BoardsService boards_{parts_};
  DeploymentsService deployments_{parts_};
  BatchesService batches_{parts_};
  FirmwareService firmware_{parts_, options_.import_idle_timeout};
  bool stopped_ = false;
  int tls_port_ = 0;
  std::unique_ptr<grpc::Server> server_;  // last: gone before what it calls
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ApiParts& parts,
                                                      const ServerOptions& options) {
  auto server = std::make_unique<GrpcServer>(parts, options);
  RETURN_IF_ERROR(server->Start());
  return server;
}

}  // namespace kiln::api
