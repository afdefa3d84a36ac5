#ifndef KILN_DAEMON_TELEMETRY_METRICS_SERVER_H_
#define KILN_DAEMON_TELEMETRY_METRICS_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/telemetry/prometheus_metrics.h"

namespace kiln::telemetry {

// Answers GET /metrics over HTTP on one address until destroyed. Owned by main; serves on a thread
// of its own.
class MetricsServer {
 public:
  virtual ~MetricsServer() = default;
  // `address` is "host:port". UNAVAILABLE when it cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const std::string& address,
                                                              const PrometheusMetrics& metrics);
};

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_METRICS_SERVER_H_
