#include <dirent.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "daemon/telemetry/prometheus_metrics.h"
#include "prometheus/metric_family.h"

namespace kiln::telemetry {
namespace {

std::string ReadAll(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The fields of /proc/self/stat from the third on ("state" is field 3 in proc(5)): the second is
// the program's name in brackets, which may hold anything.
std::vector<std::string> StatFields() {
  const std::string stat = ReadAll("/proc/self/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  return absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipWhitespace());
}

// Field `number` as proc(5) counts them.
double StatField(const std::vector<std::string>& fields, size_t number) {
  double value = 0;
  if (number - 3 < fields.size() && !absl::SimpleAtod(fields[number - 3], &value)) value = 0;
  return value;
}

// Seconds since the epoch at which the system booted.
double BootTime() {
  for (const absl::string_view line : absl::StrSplit(ReadAll("/proc/stat"), '\n')) {
    double seconds = 0;
    if (line.substr(0, 6) == "btime " && absl::SimpleAtod(line.substr(6), &seconds)) return seconds;
  }
  return 0;
}

int OpenFiles() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int count = -3;  // ".", ".." and the folder's own descriptor
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

class Collector final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    const std::vector<std::string> fields = StatFields();
    const double tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const double page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    return {
        Make("process_start_time_seconds", "Start of the process since the epoch.",
             prometheus::MetricType::Gauge, boot_time_ + StatField(fields, 22) / tick),
        Make("process_cpu_seconds_total", "User and system CPU time.",
             prometheus::MetricType::Counter,
             (StatField(fields, 14) + StatField(fields, 15)) / tick),
        Make("process_resident_memory_bytes", "Resident memory.", prometheus::MetricType::Gauge,
             StatField(fields, 24) * page),
        Make("process_open_fds", "Open file descriptors.", prometheus::MetricType::Gauge,
             OpenFiles()),
    };
  }

 private:
  static prometheus::MetricFamily Make(const char* name, const char* help,
                                       prometheus::MetricType type, double value) {
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    return {name, help, type, {metric}};
  }

  const double boot_time_ = BootTime();
};

}  // namespace

std::shared_ptr<prometheus::Collectable> ProcessMetrics() { return std::make_shared<Collector>(); }

}  // namespace kiln::telemetry
