#ifndef KILN_DAEMON_API_API_PARTS_H_
#define KILN_DAEMON_API_API_PARTS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "daemon/api/event_hub.h"
#include "daemon/api/work_pool.h"
#include "daemon/boards/registry.h"
#include "daemon/esp/flasher.h"
#include "daemon/firmware/build/builder.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/pipeline/batches.h"
#include "daemon/pipeline/scheduler.h"
#include "daemon/telemetry/health.h"
#include "daemon/telemetry/metrics.h"
#include "storage/ledger.h"

namespace kiln::api {

// What GetStation tells beside the ledger's state.
struct StationFacts {
  std::string station_id;
  std::string version;
  std::string ledger_path;
  std::string export_directory;
  std::vector<std::string> stub_chips;
  absl::Time start_time;
};

// Talks to the loader of the board at `port`, behind `opener`, lets it boot again, and says what it
// is.
using BoardIdentifier = std::function<absl::StatusOr<esp::BoardFacts>(
    const std::string& port, ports::StreamOpener& opener, const base::Cancellation& cancellation)>;

// Switches the hub port of `board`, which is on the USB bus, off for `off_time` and on again, and
// waits until the board is back.
using PortPowerCycler =
    std::function<absl::Status(const boards::UsbFacts& board, absl::Duration off_time,
                               const base::Cancellation& cancellation)>;

// Everything the services need; not owned, must outlive the server.
struct ApiParts {
  storage::Ledger* ledger = nullptr;
  boards::Registry* boards = nullptr;
  firmware::BundleStore* bundles = nullptr;
  firmware::Builder* builder = nullptr;
  pipeline::Scheduler* scheduler = nullptr;
  pipeline::Batches* batches = nullptr;
  EventHub* hub = nullptr;
  telemetry::HealthMonitor* health = nullptr;
  telemetry::Metrics* metrics = nullptr;
  base::Clock* clock = nullptr;
  // Short work: reads and single transactions.
  WorkPool* quick = nullptr;
  // Work of seconds: imports, identification, verification.
  WorkPool* slow = nullptr;
  // Work of minutes: firmware from templates, one at a time.
  WorkPool* builds = nullptr;
  BoardIdentifier identify;
  PortPowerCycler power_cycle;
  StationFacts facts;
  firmware::ImportLimits import_limits;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_API_PARTS_H_
