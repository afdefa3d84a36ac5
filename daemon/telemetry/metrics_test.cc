#include "daemon/telemetry/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/fake_clock.h"
#include "base/unique_fd.h"
#include "daemon/telemetry/metrics_server.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kiln::telemetry {
namespace {

using ::testing::HasSubstr;

class MetricsTest : public ::testing::Test {
 protected:
  base::FakeClock clock_;
  std::unique_ptr<PrometheusMetrics> metrics_ = PrometheusMetrics::Create(
      {.version = "1.2.3", .revision = "abc", .rpc_methods = {"S/M"}}, clock_);
};

TEST_F(MetricsTest, EverySeriesIsThereAtZeroFromTheStart) {
  const std::string text = metrics_->Expose();
  for (const char* line : {
           "kiln_build_info{revision=\"abc\",version=\"1.2.3\"} 1\n",
           "kiln_jobs_total{result=\"succeeded\"} 0\n",
           "kiln_jobs_total{result=\"failed\"} 0\n",
           "kiln_jobs_total{result=\"canceled\"} 0\n",
           "kiln_jobs_total{result=\"interrupted\"} 0\n",
           "kiln_job_failures_total{error_type=\"FLASH\",stage=\"flash\"} 0\n",
           "kiln_job_failures_total{error_type=\"TIMEOUT\",stage=\"prepare\"} 0\n",
           "kiln_job_failures_total{error_type=\"INTERNAL\",stage=\"export\"} 0\n",
           "kiln_jobs_in_progress{stage=\"connect\"} 0\n",
           "kiln_jobs_queued 0\n",
           "kiln_job_retries_total{stage=\"none\"} 0\n",
           "kiln_job_retries_total{stage=\"export\"} 0\n",
           "kiln_first_pass_total{result=\"passed\"} 0\n",
           "kiln_first_pass_total{result=\"failed\"} 0\n",
           "kiln_job_duration_seconds_bucket{le=\"300\"} 0\n",
           "kiln_stage_duration_seconds_bucket{stage=\"verify\",le=\"30\"} 0\n",
           "kiln_stage_duration_seconds_count{stage=\"confirm\"} 0\n",
           "kiln_flash_bytes_total 0\n",
           "kiln_flash_rate_bytes_per_second_count 0\n",
           "kiln_flash_verify_failures_total 0\n",
           "kiln_bootloader_sync_attempts_total{result=\"ok\"} 0\n",
           "kiln_devices_connected{bridge=\"cp210x\"} 0\n",
           "kiln_devices_connected{bridge=\"ch34x\"} 0\n",
           "kiln_devices_connected{bridge=\"ftdi\"} 0\n",
           "kiln_devices_connected{bridge=\"cdc_acm\"} 0\n",
           "kiln_devices_connected{bridge=\"pty\"} 0\n",
           "kiln_devices_connected{bridge=\"socket\"} 0\n",
           "kiln_devices_connected{bridge=\"other\"} 0\n",
           "kiln_device_identify_seconds_bucket{le=\"10\"} 0\n",
           "kiln_device_network_up 0\n",
           "kiln_device_events_total{action=\"arrived\"} 0\n",
           "kiln_device_events_total{action=\"left\"} 0\n",
           "kiln_mac_requests_total{result=\"matched\"} 0\n",
           "kiln_mac_mismatch_total 0\n",
           "kiln_exports_total{result=\"failed\"} 0\n",
           "kiln_export_duration_seconds_count 0\n",
           "kiln_export_dir_writable 0\n",
           "kiln_export_dir_free_bytes 0\n",
           "kiln_ledger_transaction_seconds_count 0\n",
           "kiln_ledger_size_bytes 0\n",
           "kiln_ledger_wal_bytes 0\n",
           "kiln_ledger_errors_total 0\n",
           "kiln_job_last_success_timestamp_seconds 0\n",
           "kiln_health_check_status{check=\"ledger\"} 0\n",
           "kiln_health_check_status{check=\"stubs\"} 0\n",
           "kiln_event_subscribers 0\n",
           "kiln_events_dropped_total 0\n",
           "kiln_grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"S/M\"} 0\n",
           "kiln_grpc_server_handled_total{grpc_code=\"UNAVAILABLE\",grpc_method=\"S/M\"} 0\n",
           "kiln_grpc_server_handling_seconds_count{grpc_method=\"S/M\"} 0\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(MetricsTest, ProcessSeriesHavePlausibleValues) {
  const std::string text = metrics_->Expose();
  for (const char* name : {"process_start_time_seconds", "process_cpu_seconds_total",
                           "process_resident_memory_bytes", "process_open_fds"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("\n", name, " "))) << text;
  }
  EXPECT_THAT(text, ::testing::Not(HasSubstr("process_resident_memory_bytes 0\n")));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("process_start_time_seconds 0\n")));
}

TEST_F(MetricsTest, ReportsReachTheirSeries) {
  metrics_->DeploymentEnded("succeeded", absl::Seconds(20), true);
  metrics_->DeploymentEnded("failed", absl::Seconds(5), false);
  metrics_->DeploymentFailed("flash", errors::ErrorClass::kBoard);
  metrics_->AddInProgress("flash", 2);
  metrics_->AddInProgress("flash", -1);
  metrics_->StepEnded("flash", absl::Seconds(7));
  metrics_->BytesFlashed(1000, 5e4);
  metrics_->IdentityChecked(false);
  metrics_->RetryStarted("verify");
  metrics_->SetBoardsConnected("ftdi", 3);
  metrics_->SetBoardsConnected("pty", 2);
  metrics_->SetBoardsConnected("ftdi", 1);
  metrics_->BoardIdentified(absl::Seconds(2));
  metrics_->NetworkChecked(true);
  metrics_->LedgerTransaction(absl::Milliseconds(3), false);
  metrics_->SetHealthCheck("ledger", true);
  metrics_->RpcHandled("S/M", "NOT_FOUND", absl::Milliseconds(2));

  const std::string text = metrics_->Expose();
  for (const char* line : {
           "kiln_jobs_total{result=\"succeeded\"} 1\n",
           "kiln_first_pass_total{result=\"passed\"} 1\n",
           "kiln_first_pass_total{result=\"failed\"} 1\n",
           "kiln_job_duration_seconds_bucket{le=\"15\"} 1\n",
           "kiln_job_failures_total{error_type=\"BOARD\",stage=\"flash\"} 1\n",
           "kiln_jobs_in_progress{stage=\"flash\"} 1\n",
           "kiln_stage_duration_seconds_bucket{stage=\"flash\",le=\"5\"} 0\n",
           "kiln_stage_duration_seconds_bucket{stage=\"flash\",le=\"10\"} 1\n",
           "kiln_flash_bytes_total 1000\n",
           "kiln_mac_requests_total{result=\"mismatched\"} 1\n",
           "kiln_mac_mismatch_total 1\n",
           "kiln_job_retries_total{stage=\"verify\"} 1\n",
           "kiln_job_retries_total{stage=\"flash\"} 0\n",
           "kiln_devices_connected{bridge=\"ftdi\"} 1\n",
           "kiln_devices_connected{bridge=\"pty\"} 2\n",
           "kiln_devices_connected{bridge=\"other\"} 0\n",
           "kiln_device_identify_seconds_bucket{le=\"1\"} 0\n",
           "kiln_device_identify_seconds_bucket{le=\"2.5\"} 1\n",
           "kiln_device_network_up 1\n",
           "kiln_ledger_errors_total 1\n",
           "kiln_health_check_status{check=\"ledger\"} 1\n",
           "kiln_grpc_server_handled_total{grpc_code=\"NOT_FOUND\",grpc_method=\"S/M\"} 1\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  // 2026-11-21, where the fake clock starts.
  EXPECT_THAT(text, HasSubstr("kiln_job_last_success_timestamp_seconds 1795219200\n"));
}

// Binds a loopback port and keeps it, so that nobody else can have it.
base::UniqueFd HoldPort(int& port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::listen(fd.get(), 1), 0);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  port = ntohs(address.sin_port);
  return fd;
}

TEST_F(MetricsTest, ServerSaysWhichAddressItCannotHave) {
  int port = 0;
  const base::UniqueFd held = HoldPort(port);
  const std::string address = absl::StrCat("127.0.0.1:", port);

  const auto server = MetricsServer::Start(address, *metrics_);

  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(server.status().message()), HasSubstr(address));
}

}  // namespace
}  // namespace kiln::telemetry
