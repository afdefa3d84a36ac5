#include "daemon/telemetry/logging.h"

#include <initializer_list>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "spdlog/logger.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace kiln::telemetry {
namespace {

std::optional<spdlog::level::level_enum> ParseLevel(const std::string& level) {
  if (level == "debug") return spdlog::level::debug;
  if (level == "info") return spdlog::level::info;
  if (level == "warn") return spdlog::level::warn;
  if (level == "error") return spdlog::level::err;
  return std::nullopt;
}

bool NamesASecret(absl::string_view key) {
  const std::string lower = absl::AsciiStrToLower(key);
  return absl::StrContains(lower, "password") || absl::StrContains(lower, "secret") ||
         absl::StrContains(lower, "token");
}

absl::StatusOr<std::shared_ptr<spdlog::logger>> MakeLogger(spdlog::sink_ptr sink,
                                                           const std::string& level) {
  const std::optional<spdlog::level::level_enum> parsed = ParseLevel(level);
  if (!parsed.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("unknown log level \"", level, "\""));
  }
  auto logger = std::make_shared<spdlog::logger>("kilnd", std::move(sink));
  logger->set_pattern("%v");  // the line is complete JSON already
  logger->set_level(*parsed);
  logger->flush_on(spdlog::level::info);
  return logger;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> Log::Create(const std::string& station_id,
                                                 const std::string& level) {
  auto logger = MakeLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), level);
  if (!logger.ok()) return logger.status();
  return std::unique_ptr<Log>(new Log(*std::move(logger), station_id));
}

absl::StatusOr<std::unique_ptr<Log>> Log::CreateFor(std::ostream& out,
                                                    const std::string& station_id,
                                                    const std::string& level) {
  auto logger = MakeLogger(std::make_shared<spdlog::sinks::ostream_sink_mt>(out), level);
  if (!logger.ok()) return logger.status();
  return std::unique_ptr<Log>(new Log(*std::move(logger), station_id));
}

Log::Log(std::shared_ptr<spdlog::logger> logger, std::string station_id)
    : logger_(std::move(logger)), station_id_(std::move(station_id)) {}
Log::~Log() { logger_->flush(); }

void Log::Debug(absl::string_view message, std::initializer_list<LogField> fields) {
  Write(Level::kDebug, message, fields);
}
void Log::Info(absl::string_view message, std::initializer_list<LogField> fields) {
  Write(Level::kInfo, message, fields);
}
void Log::Warn(absl::string_view message, std::initializer_list<LogField> fields) {
  Write(Level::kWarn, message, fields);
}
void Log::Error(absl::string_view message, std::initializer_list<LogField> fields) {
  Write(Level::kError, message, fields);
}

void Log::Write(Level level, absl::string_view message, std::initializer_list<LogField> fields) {
  static constexpr struct {
    spdlog::level::level_enum level;
    const char* name;
  } kLevels[] = {{spdlog::level::debug, "debug"},
                 {spdlog::level::info, "info"},
                 {spdlog::level::warn, "warn"},
                 {spdlog::level::err, "error"}};
  const auto& [spdlog_level, name] = kLevels[static_cast<int>(level)];
  if (!logger_->should_log(spdlog_level)) return;
  absl::string_view deployment;
  std::string rest;
  for (const LogField& field : fields) {
    if (field.key == "deployment") {
      deployment = field.value;
      continue;
    }
    const std::string value = NamesASecret(field.key) ? "[redacted]" : JsonEscape(field.value);
    absl::StrAppend(&rest, ",\"", JsonEscape(field.key), "\":\"", value, "\"");
  }
  const std::string line = absl::StrCat(
      "{\"time\":\"", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
      "\",\"level\":\"", name, "\",\"station\":\"", JsonEscape(station_id_), "\",\"deployment\":\"",
      JsonEscape(deployment), "\",\"message\":\"", JsonEscape(message), "\"", rest, "}");
  // As an argument, never as a format: braces in it mean nothing.
  logger_->log(spdlog_level, spdlog::string_view_t(line.data(), line.size()));
}

std::string JsonEscape(absl::string_view text) {
  const std::string quoted =
      nlohmann::json(std::string(text))
          .dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace kiln::telemetry
