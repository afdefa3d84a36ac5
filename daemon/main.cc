// kilnd: one station. Reads the configuration, builds the station, tells the service manager, waits
// for a signal, drains.

#include <malloc.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/config.h"
#include "daemon/station.h"
#include "daemon/telemetry/logging.h"
#include "daemon/version.h"
#include "errors/error.h"

namespace kiln::daemon {
namespace {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitConfiguration = 2,
  kExitLedgerDamaged = 3,
};

// How often health is looked at when the watchdog does not ask for more.
constexpr absl::Duration kTickInterval = absl::Seconds(5);
// Beyond the drain's own bound: ending streams, closing the ledger.
constexpr absl::Duration kExitMargin = absl::Seconds(10);

// A station runs for months on a small PC. By default glibc gives each thread an arena of its own
// and raises the size from which blocks go back to the system to that of the largest one ever
// freed, so that packages, images and compressors would stay resident for good.
void LimitHeap() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Half of what the service manager allows, or the usual interval.
absl::Duration TickInterval() {
  uint64_t watchdog_us = 0;
  if (::sd_watchdog_enabled(/*unset_environment=*/0, &watchdog_us) <= 0) return kTickInterval;
  return std::min(kTickInterval, absl::Microseconds(watchdog_us) / 2);
}

// Ticks until one of `signals` comes.
void RunUntilSignal(Station& station, const sigset_t& signals) {
  const timespec interval = absl::ToTimespec(TickInterval());
  do {
    station.Tick();
    ::sd_notify(0, "WATCHDOG=1");
  } while (::sigtimedwait(&signals, nullptr, &interval) < 0);
}

// Says why the station cannot start, and answers the exit code.
int ReportFailedStart(const absl::Status& status) {
  const std::string message(status.message());
  if (absl::IsInvalidArgument(status) && errors::Is(status, errors::ErrorCode::kInternal)) {
    // What the configuration names cannot be used: the message says what; a retry would not help.
    std::fprintf(stderr, "kilnd: %s\n", message.c_str());
    return kExitConfiguration;
  }
  const errors::CatalogueEntry& entry = errors::Lookup(errors::CodeOf(status));
  std::fprintf(stderr, "kilnd: %s %s\n", entry.english.message.c_str(), message.c_str());
  for (const std::string& tip : entry.english.tips) {
    std::fprintf(stderr, "  - %s\n", tip.c_str());
  }
  return errors::Is(status, errors::ErrorCode::kLedgerDamaged) ? kExitLedgerDamaged : kExitFailed;
}

int Run(const Config& config) {
  // Blocked before any thread exists, so that only RunUntilSignal sees them.
  const sigset_t signals = StopSignals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  auto log = telemetry::Log::Create(config.station_id, config.log_level);
  if (!log.ok()) {
    std::fprintf(stderr, "kilnd: %s\n", std::string(log.status().message()).c_str());
    return kExitConfiguration;
  }
  auto station = Station::Start(config, **log);
  if (!station.ok()) return ReportFailedStart(station.status());
  ::sd_notify(0, "READY=1");
  RunUntilSignal(**station, signals);

  ::sd_notify(0, "STOPPING=1");
  // A second signal, or a drain beyond its bound, ends the process on the spot; the ledger allows
  // it.
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  ::alarm(static_cast<unsigned>(absl::ToInt64Seconds(config.drain_timeout + kExitMargin)));
  (*station)->Drain();
  station->reset();
  return kExitOk;
}

}  // namespace
}  // namespace kiln::daemon

int main(int argc, char** argv) {
  CLI::App app("kilnd, the Kiln station daemon");
  std::string config_path = "/etc/kiln/kiln.toml";
  bool check_config = false;
  app.add_option("--config", config_path, "Configuration file")->capture_default_str();
  app.add_flag("--check-config", check_config, "Check the configuration and exit");
  app.set_version_flag("--version", std::string("kilnd ") + kiln::daemon::kVersion);
  CLI11_PARSE(app, argc, argv);

  const auto config = kiln::daemon::ReadConfig(config_path);
  if (!config.ok()) {
    std::fprintf(stderr, "%s\n", std::string(config.status().message()).c_str());
    return kiln::daemon::kExitConfiguration;
  }
  if (check_config) {
    std::printf("%s: ok\n", config_path.c_str());
    return kiln::daemon::kExitOk;
  }
  kiln::daemon::LimitHeap();
  return kiln::daemon::Run(*config);
}
