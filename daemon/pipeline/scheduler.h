#ifndef KILN_DAEMON_PIPELINE_SCHEDULER_H_
#define KILN_DAEMON_PIPELINE_SCHEDULER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/random.h"
#include "daemon/boards/registry.h"
#include "daemon/esp/flasher.h"
#include "daemon/esp/port_profile.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/identity/identity.h"
#include "daemon/pipeline/batches.h"
#include "daemon/records/record.h"
#include "daemon/telemetry/logging.h"
#include "daemon/telemetry/metrics.h"
#include "kiln/v1/station.pb.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// What a client orders.
struct Order {
  std::string request_id;
  identity::Customer customer;
  std::string bundle;  // id or unique prefix
  std::string port;    // name, alias, or "any"
};

struct StepTimeouts {
  absl::Duration prepare = absl::Seconds(30);
  absl::Duration connect = absl::Seconds(30);
  absl::Duration identify = absl::Seconds(30);
  absl::Duration flash = absl::Minutes(10);
  absl::Duration verify = absl::Minutes(3);
  absl::Duration boot = absl::Seconds(10);
  absl::Duration confirm = absl::Seconds(30);
  absl::Duration export_record = absl::Seconds(30);
};

struct ConfirmOptions {
  // Require the board's own report on the serial line. Off: a clean boot is enough: neither a
  // boot loop nor a start of the loader.
  bool serial = true;
  // How long a boot must stay clean when no report is required.
  absl::Duration clean_boot_window = absl::Seconds(5);
  // Also GET http://{ip}/mac, as the source documents describe.
  bool http = false;
  std::string ip = "192.168.4.1";
  int http_tries = 5;
  absl::Duration http_timeout = absl::Seconds(5);
};

struct PipelineOptions {
  std::string station_id;
  std::string tool_version;
  std::string export_directory;
  std::string deployed_by = "kiln";
  absl::TimeZone time_zone;
  int max_pending = 1000;  // StationBusy above
  // How long a board that was unplugged during its deployment may take to come back before the
  // deployment fails with BoardUnplugged, and how often one attempt puts up with it.
  absl::Duration replug_window = absl::Seconds(10);
  int max_replugs = 3;
  // Whether an order for "any" port may take a board that has been through a deployment and was not
  // unplugged since, or one whose MAC the ledger knows from a success. Off: a finished product is
  // never overwritten by the next customer's order, unless that names its port.
  bool any_takes_used_boards = false;
  // Boards that are written to at once: in all, and at one USB hub. 0: as many as there are ports.
  // A deployment counts from its start to the end of verify.
  int max_running = 0;
  int max_running_per_hub = 0;
  BatchPortRules batch_ports;
  StepTimeouts timeouts;
  ConfirmOptions confirm;
  identity::IdentityOptions identity;
  esp::FlasherOptions flasher;
  // The ledger is a backup that was restored: see DecideRecovery.
  bool restored = false;
  // Called with "<step>:enter", "<step>:leave", ... at every point where a crash test may kill the
  // daemon.
  std::function<void(const std::string&)> failpoint;
};

// GET for the confirm step, so that tests need no network.
class HttpGetter {
 public:
  virtual ~HttpGetter() = default;
  // The body (at most 64 KiB) of a 200 answer; BoardNetworkUnreachable otherwise.
  virtual absl::StatusOr<std::string> Get(const std::string& url, absl::Duration timeout) = 0;
};

// The record of a deployment as a file.
struct RecordFile {
  std::string name;  // without its folder
  std::string json;
};

// Everything the pipeline needs of the world; not owned, must outlive it.
struct PipelineParts {
  storage::Ledger* ledger;
  boards::Registry* boards;
  firmware::BundleStore* bundles;
  base::FileSystem* files;
  base::Clock* clock;
  base::RandomSource* random;
  telemetry::Metrics* metrics;
  HttpGetter* http;
  // Live progress, not in the ledger. May be empty.
  std::function<void(const v1::Progress&)> progress;
  // May be null: then nothing is logged.
  telemetry::Log* log = nullptr;
  // Null: the scheduler makes one of its own from the options.
  records::RecordWriter* records = nullptr;
  // The MAC that the USB device at a place ("1-2.3") shows as its serial number, as esp::FormatMac
  // writes it; empty where it shows none. May be empty: then nothing is known of any.
  std::function<std::string(const std::string& topology)> usb_mac;
  // Null: nothing is configured for single ports, and nothing learnt.
  esp::PortProfiles* profiles = nullptr;
};

// The pipeline's front: takes orders, gives each to the worker of its port when a board is there,
// and walks the step table there. One worker thread a port, made when the port is first needed.
// Owned by main, called by the API from any thread.
class Scheduler {
 public:
  static std::unique_ptr<Scheduler> Create(const PipelineParts& parts,
                                           const PipelineOptions& options);
  virtual ~Scheduler() = default;

  // Reads the ledger, puts every deployment that is not ended back to work (see recovery.h), and
  // starts.
  virtual absl::Status Start() = 0;
  // No new work; running writes go on to a safe point; returns when all workers have stopped or
  // `timeout` has passed (DEADLINE_EXCEEDED). What was interrupted continues after the next start.
  virtual absl::Status Drain(absl::Duration timeout) = 0;

  // Ends what still runs where it is and joins the workers, so that nothing calls the scheduler,
  // its parts or the registry's observer any more. For a station that gives up its parts one by
  // one; idempotent, and what the destructor does.
  virtual void Stop() {}

  virtual absl::StatusOr<storage::Deployment> Create(const Order& order, bool validate_only) = 0;
  virtual absl::StatusOr<storage::Deployment> Cancel(const std::string& id) = 0;
  virtual absl::StatusOr<storage::Deployment> Retry(const std::string& id,
                                                    const std::string& request_id) = 0;
  // The record of a deployment that has ended: the file as exported, or, where that is gone or was
  // never kept (failures), drawn again from the ledger. With the WiFi password of a success.
  // DeploymentNotFound; DeploymentStateWrong before the end.
  virtual absl::StatusOr<RecordFile> RecordOf(const std::string& id) = 0;
  // Holds `port` while `use` runs, as a deployment would; BoardInUse when it is in use.
  // For IdentifyBoard and PowerCycleBoard.
  virtual absl::Status WithIdlePort(const std::string& port,
                                    const std::function<absl::Status()>& use) = 0;
  // The id of the deployment that runs on `port`, or empty.
  virtual std::string RunningOn(const std::string& port) const = 0;
  // A board arrived or left; wakes whoever waits for it. Called from the registry's observer.
  virtual void OnBoardChange(const boards::BoardInfo& board) = 0;
  // Something that is not a board may let work begin: a batch was ordered or resumed, or the ledger
  // works again.
  virtual void LookForWork() {}
  virtual bool draining() const = 0;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_SCHEDULER_H_
