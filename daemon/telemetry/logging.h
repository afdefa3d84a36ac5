#ifndef KILN_DAEMON_TELEMETRY_LOGGING_H_
#define KILN_DAEMON_TELEMETRY_LOGGING_H_

#include <initializer_list>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace spdlog {
class logger;
}

namespace kiln::telemetry {

// One more member of a log line. Values that are secrets (WiFi passwords, keys) are never passed
// here; as a second line of defence, a key that names one is written as "[redacted]".
struct LogField {
  absl::string_view key;
  absl::string_view value;
};

// Writes one JSON object a line: time (RFC 3339, UTC, milliseconds), level, station, deployment (on
// every line; empty when none is concerned), message, then the fields. Thread-safe. Made by main.
class Log {
 public:
  // `level`: "debug", "info", "warn" or "error"; INVALID_ARGUMENT otherwise. Lines go to standard
  // error, where the service manager collects them.
  static absl::StatusOr<std::unique_ptr<Log>> Create(const std::string& station_id,
                                                     const std::string& level);
  // The same into `out`, which must outlive the log. For tests.
  static absl::StatusOr<std::unique_ptr<Log>> CreateFor(std::ostream& out,
                                                        const std::string& station_id,
                                                        const std::string& level);
  ~Log();

  void Debug(absl::string_view message, std::initializer_list<LogField> fields = {});
  void Info(absl::string_view message, std::initializer_list<LogField> fields = {});
  void Warn(absl::string_view message, std::initializer_list<LogField> fields = {});
  void Error(absl::string_view message, std::initializer_list<LogField> fields = {});

 private:
  Log(std::shared_ptr<spdlog::logger> logger, std::string station_id);
  enum class Level { kDebug, kInfo, kWarn, kError };
  void Write(Level level, absl::string_view message, std::initializer_list<LogField> fields);

  const std::shared_ptr<spdlog::logger> logger_;
  const std::string station_id_;
};

// `text` as the inside of a JSON string (RFC 8259, section 7): quotes, backslashes and control
// characters escaped; bytes that are not UTF-8 become U+FFFD.
std::string JsonEscape(absl::string_view text);

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_LOGGING_H_
