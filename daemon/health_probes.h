#ifndef KILN_DAEMON_HEALTH_PROBES_H_
#define KILN_DAEMON_HEALTH_PROBES_H_

#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "daemon/boards/registry.h"
#include "daemon/config.h"
#include "daemon/esp/stub_store.h"
#include "daemon/firmware/build/builder.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/telemetry/health.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "daemon/usb_side.h"
#include "storage/ledger.h"

namespace kiln::daemon {

// What the checks look at; must outlive them.
struct HealthSubjects {
  storage::Ledger* ledger;
  boards::Registry* boards;
  firmware::BundleStore* bundles;
  const esp::StubStore* stubs;
  base::FileSystem* files;
  const UsbSide* usb;
  telemetry::PrometheusMetrics* metrics;
  base::Clock* clock;
  firmware::Builder* builder;
};

// The station's checks. Critical, since without them no deployment can end well: ledger,
// export_folder, disk, usb. Optional: temp_folder, ports, bundles, stubs, backup, builder.
std::vector<telemetry::HealthProbe> MakeHealthProbes(const Config& config,
                                                     const HealthSubjects& subjects);

}  // namespace kiln::daemon

#endif  // KILN_DAEMON_HEALTH_PROBES_H_
