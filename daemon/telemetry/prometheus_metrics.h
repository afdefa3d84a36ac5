#ifndef KILN_DAEMON_TELEMETRY_PROMETHEUS_METRICS_H_
#define KILN_DAEMON_TELEMETRY_PROMETHEUS_METRICS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "daemon/telemetry/metrics.h"
#include "prometheus/collectable.h"

namespace kiln::telemetry {

struct PrometheusOptions {
  std::string version;
  std::string revision;
  // Full method names ("kiln.v1.Boards/ListBoards"), so that their series are there from the start.
  std::vector<std::string> rpc_methods;
};

// The metrics as Prometheus series, every label value present at 0 from the start, so that rates
// and alerts work from the first scrape. Made by main, read by the metrics server's thread.
class PrometheusMetrics : public Metrics {
 public:
  static std::unique_ptr<PrometheusMetrics> Create(const PrometheusOptions& options,
                                                   const base::Clock& clock);

  // Values that belong to no part's report.
  virtual void SetLedgerSize(uint64_t database_bytes, uint64_t wal_bytes) = 0;
  virtual void SetExportFolder(bool writable, uint64_t free_bytes) = 0;
  // InfinitePast: never. `ok`: whether the last attempt went well. `bytes`: of the last good one.
  virtual void SetBackup(absl::Time last_success, bool ok, uint64_t bytes) = 0;

  // What a scrape collects: these series and the process's own.
  virtual std::vector<std::shared_ptr<prometheus::Collectable>> Collectables() const = 0;
  // The text exposition format, as a scrape answers it.
  std::string Expose() const;
};

// process_start_time_seconds, process_cpu_seconds_total, process_resident_memory_bytes and
// process_open_fds, read from /proc/self at each scrape.
std::shared_ptr<prometheus::Collectable> ProcessMetrics();

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_PROMETHEUS_METRICS_H_
