#ifndef KILN_DAEMON_STATION_H_
#define KILN_DAEMON_STATION_H_

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "daemon/api/event_hub.h"
#include "daemon/api/server.h"
#include "daemon/boards/registry.h"
#include "daemon/config.h"
#include "daemon/esp/port_profile.h"
#include "daemon/esp/stub_store.h"
#include "daemon/firmware/build/builder.h"
#include "daemon/firmware/build/child_process.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/pipeline/batches.h"
#include "daemon/pipeline/scheduler.h"
#include "daemon/telemetry/health.h"
#include "daemon/telemetry/logging.h"
#include "daemon/telemetry/metrics_server.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "daemon/usb_side.h"
#include "storage/ledger.h"

namespace kiln::daemon {

// The station in one process: owns every part, builds them bottom up, joins them, and takes them
// down in the order that loses nothing. Made by main and used on its thread alone.
class Station {
 public:
  // Builds everything and serves. `log` must outlive the station. LedgerDamaged when the ledger may
  // not be used; nothing is changed then.
  static absl::StatusOr<std::unique_ptr<Station>> Start(const Config& config, telemetry::Log& log);
  ~Station();

  // To be called every few seconds: asks for a new look at health and sizes, and waits for none of
  // them. A ledger or folder that hangs shows as a failed check, not as a dead daemon.
  void Tick();

  // NOT_SERVING, no new work, running writes to a safe point, streams ended; within the configured
  // bound and a few seconds.
  void Drain();

 private:
  Station(const Config& config, telemetry::Log& log);

  absl::Status OpenStores();
  absl::Status CompleteRestore();
  absl::Status BuildBoards();
  void BuildHealth();
  void BuildPipeline();
  absl::Status StartServing();
  absl::Status RecordStart();
  void RecordStationEvent(v1::StationEvent::Type type);
  void OnBoardChange(const boards::BoardInfo& board) ABSL_LOCKS_EXCLUDED(pipeline_mutex_);
  void OnHealthChange(const v1::Health& health);
  void Append(const v1::Event& event, const std::string& subject);

  const Config config_;
  telemetry::Log& log_;
  base::Clock& clock_ = base::SystemClock();
  base::FileSystem& files_ = base::SystemFileSystem();
  const absl::Time start_time_ = clock_.Now();
  const std::string ledger_path_;

  // In the order they are built; the destructor stops threads first.
  std::unique_ptr<telemetry::PrometheusMetrics> metrics_;
  std::unique_ptr<storage::Ledger> ledger_;
  std::unique_ptr<api::EventHub> hub_;
  std::unique_ptr<firmware::BundleStore> bundles_;
  std::unique_ptr<firmware::ChildRunner> children_;
  std::unique_ptr<firmware::Builder> builder_;
  esp::StubStore stubs_;
  esp::PortProfiles profiles_;
  esp::FlasherOptions flasher_options_;
  std::unique_ptr<UsbSide> usb_;
  std::unique_ptr<boards::Registry> boards_;
  std::unique_ptr<telemetry::HealthMonitor> health_;
  std::unique_ptr<pipeline::HttpGetter> http_;
  std::unique_ptr<pipeline::Scheduler> scheduler_;
  std::unique_ptr<pipeline::Batches> batches_;
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<telemetry::MetricsServer> metrics_server_;

  // The scheduler for the registry's observer: null before it is built and once it goes down, while
  // its last workers may still look for boards. Read-locked while it is called.
  absl::Mutex pipeline_mutex_;
  pipeline::Scheduler* observing_ ABSL_GUARDED_BY(pipeline_mutex_) = nullptr;

  absl::Mutex boards_mutex_;
  // The family of the adapter of each present board, by port; empty when it has left.
  std::map<std::string, absl::string_view> bridges_ ABSL_GUARDED_BY(boards_mutex_);
};

}  // namespace kiln::daemon

#endif  // KILN_DAEMON_STATION_H_
