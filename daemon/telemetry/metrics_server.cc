#include "daemon/telemetry/metrics_server.h"

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "prometheus/exposer.h"

namespace kiln::telemetry {
namespace {

class ExposerServer final : public MetricsServer {
 public:
  ExposerServer(const std::string& address,
                std::vector<std::shared_ptr<prometheus::Collectable>> collectables)
      : collectables_(std::move(collectables)), exposer_(address, /*num_threads=*/1) {
    for (const auto& collectable : collectables_) exposer_.RegisterCollectable(collectable);
  }

 private:
  // The exposer holds weak pointers only.
  const std::vector<std::shared_ptr<prometheus::Collectable>> collectables_;
  prometheus::Exposer exposer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& address, const PrometheusMetrics& metrics) {
  try {
    return std::make_unique<ExposerServer>(address, metrics.Collectables());
  } catch (const std::exception& error) {  // the library's only way to report
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics on ", address, ": ", error.what()));
  }
}

}  // namespace kiln::telemetry
