#include "daemon/telemetry/metrics.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "errors/error.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace kiln::telemetry {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using Labels = std::map<std::string, std::string>;
using Buckets = Histogram::BucketBoundaries;

// DESIGN's steps, as the pipeline names them.
constexpr absl::string_view kSteps[] = {"prepare", "connect", "identify", "flash",
                                        "verify",  "boot",    "confirm",  "export"};
constexpr absl::string_view kBridges[] = {"cp210x", "ch34x",  "ftdi", "cdc_acm",
                                          "pty",    "socket", "other"};
constexpr absl::string_view kResults[] = {"succeeded", "failed", "canceled", "interrupted"};
constexpr absl::string_view kChecks[] = {"ledger", "export_folder", "temp_folder", "disk",
                                         "ports",  "bundles",       "stubs",       "usb",
                                         "backup", "builder"};
constexpr absl::string_view kHotplugModes[] = {"udev", "netlink", "poll"};
// The canonical codes of gRPC, by number.
constexpr absl::string_view kRpcCodes[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
// All values of errors::ErrorClass.
constexpr errors::ErrorClass kClasses[] = {
    errors::ErrorClass::kNetwork, errors::ErrorClass::kFirmware,   errors::ErrorClass::kFlash,
    errors::ErrorClass::kBoard,   errors::ErrorClass::kFileSystem, errors::ErrorClass::kValidation,
    errors::ErrorClass::kTimeout, errors::ErrorClass::kInternal};

// Buckets in seconds, chosen so that the targets (5, 10, 30 and 300 s) are boundaries.
const Buckets kJobBuckets = {15, 30, 45, 60, 90, 120, 150, 180, 240, 300, 420, 600};
const Buckets kStageBuckets = {.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300};
const Buckets kIdentifyBuckets = {.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60};
const Buckets kRateBuckets = {5e3, 1e4, 2e4, 4e4, 6e4, 8e4, 1.2e5, 2e5, 4e5};  // bytes per second
const Buckets kLedgerBuckets = {.001, .0025, .005, .01, .025, .05, .1, .25, 1};
const Buckets kExportBuckets = {.001, .005, .01, .05, .1, .5, 1, 5};
const Buckets kRpcBuckets = {.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10};

// One family with one label, its known values made at once. A value nobody foresaw gets its
// series when it appears; the parts pass only values from closed sets.
template <typename Metric>
class Labelled {
 public:
  template <typename Family, typename... Args>
  Labelled(Family& family, std::string label, const Args&... args)
      : make_([&family, label = std::move(label), args...](absl::string_view value) -> Metric& {
          return family.Add({{label, std::string(value)}}, args...);
        }) {}

  Metric& Of(absl::string_view value) { return make_(value); }

 private:
  std::function<Metric&(absl::string_view)> make_;
};

class Implementation final : public PrometheusMetrics {
 public:
  Implementation(const PrometheusOptions& options, const base::Clock& clock) : clock_(clock) {
    prometheus::BuildGauge()
        .Name("kiln_build_info")
        .Help("What runs; always 1.")
        .Register(*registry_)
        .Add({{"version", options.version}, {"revision", options.revision}})
        .Set(1);
    for (const absl::string_view result : kResults) jobs_total_.Of(result);
    for (const absl::string_view step : kSteps) {
      stage_duration_.Of(step);
      in_progress_.Of(step);
      retries_.Of(step);
      for (const errors::ErrorClass error_class : kClasses) FailureCounter(step, error_class);
    }
    retries_.Of("none");
    for (const absl::string_view bridge : kBridges) connected_.Of(bridge);
    for (const absl::string_view result : {"passed", "failed"}) first_pass_.Of(result);
    for (const absl::string_view result : {"ok", "failed"}) {
      connects_.Of(result);
      exports_.Of(result);
    }
    for (const absl::string_view action : {"arrived", "left"}) device_events_.Of(action);
    for (const absl::string_view by : {"event", "scan"}) found_.Of(by);
    for (const absl::string_view mode : kHotplugModes) hotplug_.Of(mode);
    for (const absl::string_view operation : {"bulk_in", "bulk_out", "control"}) {
      for (const absl::string_view code : {"no_device", "stalled", "timed_out", "overflow", "io"}) {
        TransferCounter(operation, code);
      }
    }
    for (const absl::string_view result : {"matched", "mismatched"}) mac_requests_.Of(result);
    for (const absl::string_view check : kChecks) health_.Of(check);
    for (const std::string& method : options.rpc_methods) {
      rpc_duration_.Of(method);
      for (const absl::string_view code : kRpcCodes) RpcCounter(method, code);
    }
  }

  void DeploymentEnded(absl::string_view result, absl::Duration elapsed, bool first_pass) override {
    jobs_total_.Of(result).Increment();
    job_duration_.Observe(absl::ToDoubleSeconds(elapsed));
    if (first_pass) {
      first_pass_.Of("passed").Increment();
    } else if (result == "failed") {
      first_pass_.Of("failed").Increment();
    }
    if (result == "succeeded")
      last_success_.Set(absl::ToDoubleSeconds(clock_.Now() - absl::UnixEpoch()));
  }
  void StepEnded(absl::string_view step, absl::Duration elapsed) override {
    stage_duration_.Of(step).Observe(absl::ToDoubleSeconds(elapsed));
  }
  void DeploymentFailed(absl::string_view step, errors::ErrorClass error_class) override {
    FailureCounter(step, error_class).Increment();
  }
  void SetDeploymentsQueued(int count) override { queued_.Set(count); }
  void AddInProgress(absl::string_view step, int delta) override {
    in_progress_.Of(step).Increment(delta);
  }
  void RetryStarted(absl::string_view step) override { retries_.Of(step).Increment(); }
  void BytesFlashed(uint64_t bytes, double bytes_per_second) override {
    flash_bytes_.Increment(static_cast<double>(bytes));
    flash_rate_.Observe(bytes_per_second);
  }
  void VerifyFailed() override { verify_failures_.Increment(); }
  void ConnectAttempt(bool ok) override { connects_.Of(ok ? "ok" : "failed").Increment(); }
  void BoardEvent(absl::string_view action) override { device_events_.Of(action).Increment(); }
  void SetBoardsConnected(absl::string_view bridge, int count) override {
    connected_.Of(bridge).Set(count);
  }
  void BoardIdentified(absl::Duration elapsed) override {
    identify_.Observe(absl::ToDoubleSeconds(elapsed));
  }
  void NetworkChecked(bool up) override { network_up_.Set(up ? 1 : 0); }
  void DeviceFound(absl::string_view by) override { found_.Of(by).Increment(); }
  void SetHotplugMode(absl::string_view mode) override {
    for (const absl::string_view known : kHotplugModes) {
      hotplug_.Of(known).Set(known == mode ? 1 : 0);
    }
  }
  void UsbTransferFailed(absl::string_view operation, absl::string_view code) override {
    TransferCounter(operation, code).Increment();
  }
  void IdentityChecked(bool matched) override {
    mac_requests_.Of(matched ? "matched" : "mismatched").Increment();
    if (!matched) mac_mismatch_.Increment();
  }
  void RecordExported(bool ok, absl::Duration elapsed) override {
    exports_.Of(ok ? "ok" : "failed").Increment();
    export_duration_.Observe(absl::ToDoubleSeconds(elapsed));
  }
  void LedgerTransaction(absl::Duration elapsed, bool ok) override {
    ledger_transaction_.Observe(absl::ToDoubleSeconds(elapsed));
    if (!ok) ledger_errors_.Increment();
  }
  void SetHealthCheck(absl::string_view check, bool ok) override {
    health_.Of(check).Set(ok ? 1 : 0);
  }
  void SetEventSubscribers(int count) override { subscribers_.Set(count); }
  void EventsDropped(int count) override { dropped_.Increment(count); }
  void RpcHandled(absl::string_view method, absl::string_view code,
                  absl::Duration elapsed) override {
    RpcCounter(method, code).Increment();
    rpc_duration_.Of(method).Observe(absl::ToDoubleSeconds(elapsed));
  }

  void SetLedgerSize(uint64_t database_bytes, uint64_t wal_bytes) override {
    ledger_size_.Set(static_cast<double>(database_bytes));
    ledger_wal_.Set(static_cast<double>(wal_bytes));
  }
  void SetExportFolder(bool writable, uint64_t free_bytes) override {
    export_writable_.Set(writable ? 1 : 0);
    export_free_.Set(static_cast<double>(free_bytes));
  }
  void SetBackup(absl::Time last_success, bool ok, uint64_t bytes) override {
    backup_time_.Set(last_success == absl::InfinitePast()
                         ? 0
                         : absl::ToDoubleSeconds(last_success - absl::UnixEpoch()));
    backup_ok_.Set(ok ? 1 : 0);
    backup_size_.Set(static_cast<double>(bytes));
  }

  std::vector<std::shared_ptr<prometheus::Collectable>> Collectables() const override {
    return {registry_, process_};
  }

 private:
  prometheus::Family<Counter>& Counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_);
  }
  prometheus::Family<Gauge>& Gauges(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_);
  }
  prometheus::Family<Histogram>& Histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_);
  }

  // Adding a label set that exists answers the metric that is there.
  Counter& FailureCounter(absl::string_view step, errors::ErrorClass error_class) {
    return failures_.Add({{"stage", std::string(step)},
                          {"error_type", std::string(errors::TraitsOf(error_class).name)}});
  }
  Counter& TransferCounter(absl::string_view operation, absl::string_view code) {
    return transfer_errors_.Add(
        {{"operation", std::string(operation)}, {"code", std::string(code)}});
  }
  Counter& RpcCounter(absl::string_view method, absl::string_view code) {
    return rpc_handled_.Add(
        {{"grpc_method", std::string(method)}, {"grpc_code", std::string(code)}});
  }

  const base::Clock& clock_;
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  const std::shared_ptr<prometheus::Collectable> process_ = ProcessMetrics();

  Labelled<Counter> jobs_total_{Counters("kiln_jobs_total", "Deployments that ended, by result."),
                                "result"};
  prometheus::Family<Counter>& failures_ =
      Counters("kiln_job_failures_total", "Failed deployments, by step and class of error.");
  Labelled<Gauge> in_progress_{Gauges("kiln_jobs_in_progress", "Deployments in each step now."),
                               "stage"};
  Gauge& queued_ =
      Gauges("kiln_jobs_queued", "Deployments that wait for a board or a turn.").Add({});
  Labelled<Counter> retries_{
      Counters("kiln_job_retries_total",
               "Attempts after the first, by the step where the one before ended."),
      "stage"};
  Labelled<Counter> first_pass_{
      Counters("kiln_first_pass_total",
               "Deployments that succeeded in their first attempt (passed), and failed attempts."),
      "result"};
  Histogram& job_duration_ =
      Histograms("kiln_job_duration_seconds", "From the board's turn to the end of the deployment.")
          .Add({}, kJobBuckets);
  Labelled<Histogram> stage_duration_{
      Histograms("kiln_stage_duration_seconds", "Duration of each step."), "stage", kStageBuckets};
  Counter& flash_bytes_ =
      Counters("kiln_flash_bytes_total", "Bytes of images written to boards.").Add({});
  Histogram& flash_rate_ =
      Histograms("kiln_flash_rate_bytes_per_second", "Image bytes written a second, by deployment.")
          .Add({}, kRateBuckets);
  Counter& verify_failures_ =
      Counters("kiln_flash_verify_failures_total", "Regions whose MD5 was wrong.").Add({});
  Labelled<Counter> connects_{
      Counters("kiln_bootloader_sync_attempts_total", "Attempts to reach a loader."), "result"};
  Labelled<Gauge> connected_{
      Gauges("kiln_devices_connected", "Boards plugged in now, by family of adapter."), "bridge"};
  Histogram& identify_ =
      Histograms("kiln_device_identify_seconds",
                 "From the reset into the loader until chip, MAC and flash were known.")
          .Add({}, kIdentifyBuckets);
  Gauge& network_up_ =
      Gauges("kiln_device_network_up",
             "1 when the board that was last asked over the network answered, 0 when it did not or "
             "none was asked.")
          .Add({});
  Labelled<Counter> device_events_{
      Counters("kiln_device_events_total", "Boards that arrived and left."), "action"};
  Labelled<Counter> found_{Counters("kiln_device_found_total",
                                    "Boards found on the USB bus, by the event that told of them "
                                    "or by the scan that needs none."),
                           "by"};
  Labelled<Gauge> hotplug_{
      Gauges("kiln_hotplug_mode_info",
             "1 for the way in which arrivals are learnt of: udev, netlink, or poll alone."),
      "mode"};
  prometheus::Family<Counter>& transfer_errors_ =
      Counters("kiln_usb_transfer_errors_total",
               "Transfers of Kiln's own USB drivers that failed, by operation and libusb's code.");
  Labelled<Counter> mac_requests_{
      Counters("kiln_mac_requests_total", "Comparisons of a board's own report with its order."),
      "result"};
  Counter& mac_mismatch_ =
      Counters("kiln_mac_mismatch_total", "Boards that reported another identity.").Add({});
  Labelled<Counter> exports_{Counters("kiln_exports_total", "Records written."), "result"};
  Histogram& export_duration_ =
      Histograms("kiln_export_duration_seconds", "Time to write a record durably.")
          .Add({}, kExportBuckets);
  Gauge& export_writable_ =
      Gauges("kiln_export_dir_writable", "1 when the export folder takes files.").Add({});
  Gauge& export_free_ =
      Gauges("kiln_export_dir_free_bytes", "Free space at the export folder.").Add({});
  Histogram& ledger_transaction_ =
      Histograms("kiln_ledger_transaction_seconds", "Duration of the ledger's transactions.")
          .Add({}, kLedgerBuckets);
  Gauge& ledger_size_ = Gauges("kiln_ledger_size_bytes", "Size of the ledger's file.").Add({});
  Gauge& backup_time_ = Gauges("kiln_backup_last_success_timestamp_seconds",
                               "When the newest good backup was made; 0: never.")
                            .Add({});
  Gauge& backup_ok_ =
      Gauges("kiln_backup_last_attempt_ok", "1 when the last attempt at a backup went well.")
          .Add({});
  Gauge& backup_size_ = Gauges("kiln_backup_size_bytes", "Size of the newest good backup.").Add({});
  Gauge& ledger_wal_ = Gauges("kiln_ledger_wal_bytes", "Size of the ledger's WAL file.").Add({});
  Counter& ledger_errors_ =
      Counters("kiln_ledger_errors_total", "Transactions that failed.").Add({});
  Gauge& last_success_ = Gauges("kiln_job_last_success_timestamp_seconds",
                                "When a deployment last succeeded; 0 before the first.")
                             .Add({});
  Labelled<Gauge> health_{
      Gauges("kiln_health_check_status",
             "1 when the check passes or, if it is critical, only degrades the station; 0 when it "
             "fails or never ran."),
      "check"};
  Gauge& subscribers_ = Gauges("kiln_event_subscribers", "Open event streams.").Add({});
  Counter& dropped_ =
      Counters("kiln_events_dropped_total", "Events not sent to readers that were too slow.")
          .Add({});
  prometheus::Family<Counter>& rpc_handled_ =
      Counters("kiln_grpc_server_handled_total", "Calls answered, by method and code.");
  Labelled<Histogram> rpc_duration_{
      Histograms("kiln_grpc_server_handling_seconds", "Time to answer, by method."), "grpc_method",
      kRpcBuckets};
};

class Nothing final : public Metrics {
 public:
  void DeploymentEnded(absl::string_view, absl::Duration, bool) override {}
  void StepEnded(absl::string_view, absl::Duration) override {}
  void DeploymentFailed(absl::string_view, errors::ErrorClass) override {}
  void SetDeploymentsQueued(int) override {}
  void AddInProgress(absl::string_view, int) override {}
  void RetryStarted(absl::string_view) override {}
  void BytesFlashed(uint64_t, double) override {}
  void VerifyFailed() override {}
  void ConnectAttempt(bool) override {}
  void BoardEvent(absl::string_view) override {}
  void SetBoardsConnected(absl::string_view, int) override {}
  void BoardIdentified(absl::Duration) override {}
  void NetworkChecked(bool) override {}
  void DeviceFound(absl::string_view) override {}
  void SetHotplugMode(absl::string_view) override {}
  void UsbTransferFailed(absl::string_view, absl::string_view) override {}
  void IdentityChecked(bool) override {}
  void RecordExported(bool, absl::Duration) override {}
  void LedgerTransaction(absl::Duration, bool) override {}
  void SetHealthCheck(absl::string_view, bool) override {}
  void SetEventSubscribers(int) override {}
  void EventsDropped(int) override {}
  void RpcHandled(absl::string_view, absl::string_view, absl::Duration) override {}
};

}  // namespace

absl::Span<const absl::string_view> Bridges() { return kBridges; }

std::unique_ptr<PrometheusMetrics> PrometheusMetrics::Create(const PrometheusOptions& options,
                                                             const base::Clock& clock) {
  return std::make_unique<Implementation>(options, clock);
}

std::string PrometheusMetrics::Expose() const {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& collectable : Collectables()) {
    for (prometheus::MetricFamily& family : collectable->Collect()) {
      families.push_back(std::move(family));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

std::unique_ptr<Metrics> NullMetrics() { return std::make_unique<Nothing>(); }

}  // namespace kiln::telemetry
