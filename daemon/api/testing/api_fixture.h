#ifndef KILN_DAEMON_API_TESTING_API_FIXTURE_H_
#define KILN_DAEMON_API_TESTING_API_FIXTURE_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "daemon/api/event_hub.h"
#include "daemon/api/rpc_error.h"
#include "daemon/api/server.h"
#include "daemon/api/testing/fake_builder.h"
#include "daemon/api/testing/fake_bundle_store.h"
#include "daemon/api/testing/fake_scheduler.h"
#include "daemon/api/wire/rpc_wire.h"
#include "daemon/boards/fake_registry.h"
#include "daemon/telemetry/health.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "kiln/v1/batches.grpc.pb.h"
#include "kiln/v1/boards.grpc.pb.h"
#include "kiln/v1/deployments.grpc.pb.h"
#include "kiln/v1/firmware.grpc.pb.h"
#include "kiln/v1/station.grpc.pb.h"
#include "storage/ledger.h"
#include "storage/ledger_test_util.h"

namespace kiln::api::testing {

// A real server on a unix socket over a real ledger; scheduler, boards and bundles are fakes.
class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    ledger_->SetCommitObserver(
        [this](const storage::EventRecord& record) { hub_.Publish(record); });
    health_.SetOnChange([](const v1::Health&) {});
    health_.Start();
    hub_.Start();
    parts_.ledger = ledger_.get();
    parts_.boards = &boards_;
    parts_.bundles = &bundles_;
    parts_.builder = &builder_;
    parts_.scheduler = &scheduler_;
    parts_.batches = &batches_;
    ledger_->SetBatchPayload(pipeline::BatchEventPayload);
    parts_.hub = &hub_;
    parts_.health = &health_;
    parts_.metrics = metrics_.get();
    parts_.clock = &base::SystemClock();
    parts_.identify = [this](const std::string&, ports::StreamOpener&, const base::Cancellation&) {
      return facts_;
    };
    parts_.power_cycle = [this](const boards::UsbFacts& usb, absl::Duration off_time,
                                const base::Cancellation&) {
      power_cycles_.push_back(absl::StrCat(usb.topology, " ", absl::FormatDuration(off_time)));
      return power_result_;
    };
    parts_.facts.station_id = "test";
    parts_.import_limits.max_package_bytes = uint64_t{3} << 20;
    options_.socket_path = folder_.Path("run/kilnd.sock");
    auto server = Server::Start(parts_, options_);
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
    channel_ = grpc::CreateChannel(absl::StrCat("unix:", options_.socket_path),
                                   grpc::InsecureChannelCredentials());
    station_ = v1::Station::NewStub(channel_);
    board_stub_ = v1::Boards::NewStub(channel_);
    deployments_ = v1::Deployments::NewStub(channel_);
    batch_stub_ = v1::Batches::NewStub(channel_);
    firmware_ = v1::Firmware::NewStub(channel_);
  }

  // A context that never hangs a test.
  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return context;
  }

  static v1::CreateDeploymentRequest OrderRequest() {
    v1::CreateDeploymentRequest request;
    request.set_request_id(base::RandomUuid(base::SystemRandom()));
    request.mutable_customer()->set_organization("Bangkok Clinic");
    request.mutable_customer()->set_customer_id("BGK001");
    request.mutable_customer()->set_application_name("Dispenser");
    request.set_bundle("bundles/0123456789abcdef");
    request.set_port("any");
    return request;
  }

  v1::Deployment Create(const v1::CreateDeploymentRequest& request = OrderRequest()) {
    v1::Deployment deployment;
    const grpc::Status status =
        deployments_->CreateDeployment(Context().get(), request, &deployment);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return deployment;
  }

  static std::string IdOf(const v1::Deployment& deployment) {
    return deployment.name().substr(std::string("deployments/").size());
  }

  // "INVALID_ARGUMENT REQUEST_INVALID page_token": code, reason and first wrong field.
  static std::string Describe(const grpc::Status& status) {
    std::string text(RpcCodeName(status.error_code()));
    if (const auto failure = rpc::FailureOf(status); failure.ok()) {
      absl::StrAppend(&text, " ", failure->code());
    }
    const auto violations = rpc::FieldViolationsOf(status);
    if (!violations.empty()) absl::StrAppend(&text, " ", violations[0].field);
    return text;
  }

  storage::TemporaryFolder folder_;
  std::unique_ptr<telemetry::PrometheusMetrics> metrics_ =
      telemetry::PrometheusMetrics::Create({}, base::SystemClock());
  std::unique_ptr<storage::Ledger> ledger_ =
      storage::MustOpen(folder_.Path("ledger.db"), base::SystemClock());
  EventHub hub_{
      {.max_queued = 20, .abandon_after = absl::Seconds(30)}, base::SystemClock(), *metrics_};
  boards::FakeRegistry boards_;
  FakeBundleStore bundles_;
  FakeBuilder builder_;
  FakeScheduler scheduler_{*ledger_};
  pipeline::Batches batches_{
      *ledger_, bundles_, base::SystemClock(), base::SystemRandom(), absl::UTCTimeZone(), [this] {
        ++batch_changes_;
      }};
  std::atomic<int> batch_changes_ = 0;
  telemetry::HealthMonitor health_{{}, base::SystemClock(), *metrics_};
  absl::StatusOr<esp::BoardFacts> facts_ = esp::BoardFacts{
      .chip = esp::Chip::kEsp32C3, .mac = {0x7c, 0xdf, 0xa1, 0, 0, 1}, .flash_size_bytes = 4 << 20};
  std::vector<std::string> power_cycles_;  // written by calls, read between them
  absl::Status power_result_;
  ApiParts parts_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Station::Stub> station_;
  std::unique_ptr<v1::Boards::Stub> board_stub_;
  std::unique_ptr<v1::Deployments::Stub> deployments_;
  std::unique_ptr<v1::Batches::Stub> batch_stub_;
  std::unique_ptr<v1::Firmware::Stub> firmware_;
};

}  // namespace kiln::api::testing

#endif  // KILN_DAEMON_API_TESTING_API_FIXTURE_H_
