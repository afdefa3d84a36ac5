#ifndef KILN_DAEMON_CONFIG_H_
#define KILN_DAEMON_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/firmware/build/builder.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/identity/identity.h"
#include "daemon/pipeline/scheduler.h"

namespace kiln::daemon {

// A port the configuration names: "/dev/ttyUSB0", "pty:///run/sim/A1", "socket://localhost:5555",
// "rfc2217://bench-pc:2217". Without an address it only gives an alias, or a driver, to a port that
// is found on the bus under its name.
struct PortConfig {
  std::string name;
  std::string alias;
  std::string address;
  std::string usb_driver;  // "auto", "user", "kernel"; empty: as UsbConfig says
  // A way into the loader instead of the usual ones, as esp::CustomReset reads it; may be empty.
  std::string reset;
  uint32_t baud_rate = 0;  // instead of [flash] baud_rate; 0: that one
};

// What is taken from the USB bus, and how.
struct UsbConfig {
  std::string usb_driver = "auto";  // "auto", "user", "kernel"
  // Patterns of port names, "usb-1-2.*", and ids, "10c4:ea60". Nothing allowed means everything.
  std::vector<std::string> allow_ports;
  std::vector<std::string> deny_ports;
  std::vector<std::string> allow_ids;
  std::vector<std::string> deny_ids;
};

// A TCP listener; off while `address` is empty. Always with TLS and client certificates.
struct TlsConfig {
  std::string address;  // "host:port"
  std::string certificate_file;
  std::string key_file;
  std::string client_ca_file;
};

// Everything kiln.toml says, checked; the defaults are those of deploy/kiln.toml, which documents
// every key. Read once by main, immutable afterwards.
struct Config {
  // [station]
  std::string station_id = "kiln-station";
  std::string state_directory = "/var/lib/kiln";
  std::string export_directory = "/var/lib/kiln/exports";
  std::string temp_directory = "/var/lib/kiln/tmp";
  std::string time_zone = "Asia/Bangkok";
  std::string socket = "/run/kiln/kilnd.sock";
  uint32_t socket_mode = 0660;
  std::string socket_group;  // empty: the process's own
  std::string log_level = "info";
  int64_t minimum_free_mib = 500;
  absl::Duration drain_timeout = absl::Seconds(30);
  std::string deployed_by = "kiln";

  std::vector<PortConfig> ports;  // [[port]]
  UsbConfig usb;                  // [usb]

  // [flash]
  uint32_t baud_rate = 921600;
  std::string stub_directory = "/usr/share/kiln/stubs";

  // [pipeline]
  int max_pending = 1000;
  absl::Duration replug_window = absl::Seconds(10);
  int max_replugs = 3;
  bool any_takes_used_boards = false;
  int max_running = 0;                   // boards written to at once; 0: no limit
  int max_running_per_hub = 0;           // of those, at one USB hub; 0: no limit
  pipeline::StepTimeouts timeouts;       // [pipeline]
  pipeline::BatchPortRules batch_ports;  // [batches]
  pipeline::ConfirmOptions confirm;      // [confirm]
  identity::IdentityOptions identity;    // [identity]
  firmware::ImportLimits firmware;       // [firmware]
  firmware::BuilderOptions builder;      // [builder]; folders that are not set follow [station]
  TlsConfig tls;                         // [tls]

  // [metrics]
  std::string metrics_address = "127.0.0.1:9464";  // empty: off

  // [backup]
  std::string backup_directory = "/var/lib/kiln/backups";
  int backups_kept = 7;
  absl::Duration backup_max_age = absl::Hours(26);  // 0: not looked at

  // [testing]
  bool failpoints = false;  // honour KILN_FAILPOINT; never in production
};

// Parses `text`; `source` names the file in messages. INVALID_ARGUMENT lists every problem on a
// line of its own as "file:line: what is wrong": syntax, unknown keys, wrong types, values out of
// range.
absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& source);

// Reads and parses the file at `path` (at most 1 MiB).
absl::StatusOr<Config> ReadConfig(const std::string& path);

}  // namespace kiln::daemon

#endif  // KILN_DAEMON_CONFIG_H_
