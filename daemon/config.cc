#include "daemon/config.h"

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/file_system.h"
#include "base/status_macros.h"
#include "daemon/config_reader.h"
#include "daemon/esp/custom_reset.h"

namespace kiln::daemon {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
// Entries of one list of ports or ids: each is compared with each board once a second.
constexpr size_t kMaxList = 64;
// sizeof(sockaddr_un::sun_path) less the closing NUL, see unix(7).
constexpr size_t kMaxSocketPath = 107;

std::string Anything(const std::string&) { return ""; }

std::string AbsolutePath(const std::string& value) {
  return absl::StartsWith(value, "/") ? "" : "must be an absolute path";
}
std::string AbsolutePathOrEmpty(const std::string& value) {
  return value.empty() ? "" : AbsolutePath(value);
}
std::string SocketPath(const std::string& value) {
  if (value.size() > kMaxSocketPath) {
    return absl::StrCat("must be at most ", kMaxSocketPath, " bytes long");
  }
  return AbsolutePath(value);
}

// What may stand in a port's or station's name: it becomes part of resource names, labels and
// files.
std::string Name(const std::string& value) {
  bool good = !value.empty() && value.size() <= 63 && absl::ascii_isalnum(value[0]);
  for (const char c : value)
    good = good && (absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.');
  return good ? ""
              : "must be 1 to 63 letters, digits, '.', '-' or '_', starting with a letter or digit";
}
std::string PortName(const std::string& value) {
  return value == "any" ? "must not be \"any\", which orders use for the next free board"
                        : Name(value);
}
std::string NameOrEmpty(const std::string& value) { return value.empty() ? "" : PortName(value); }

std::string PortAddress(const std::string& value) {
  if (absl::StartsWith(value, "/dev/") || absl::StartsWith(value, "pty:///")) return "";
  for (const absl::string_view scheme : {"socket://", "rfc2217://"}) {
    if (absl::StartsWith(value, scheme) && absl::StrContains(value.substr(scheme.size()), ":")) {
      return "";
    }
  }
  return "must be /dev/..., pty:///PATH, socket://host:port or rfc2217://host:port";
}

std::string UsbDriver(const std::string& value) {
  const bool good = value == "auto" || value == "user" || value == "kernel";
  return good ? "" : "must be \"auto\", \"user\" or \"kernel\"";
}

std::string PortPattern(const std::string& value) {
  bool good = !value.empty() && value.size() <= 64;
  for (const char c : value)
    good = good && (absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_' || c == '*');
  return good ? "" : "must hold names of ports, with '*' for any characters, such as \"usb-1-2.*\"";
}

std::string UsbIdText(const std::string& value) {
  bool good = value.size() == 9 && value[4] == ':';
  for (size_t i = 0; good && i < value.size(); ++i) {
    good = i == 4 || absl::ascii_isxdigit(static_cast<unsigned char>(value[i]));
  }
  return good ? "" : "must hold vendor and product as four hexadecimal digits each: \"10c4:ea60\"";
}

std::string ResetSequence(const std::string& value) {
  const absl::Status status = esp::CustomReset::Parse(value).status();
  return status.ok() ? "" : absl::StrCat("is no reset sequence: ", status.message());
}

std::string HostPortOrEmpty(const std::string& value) {
  if (value.empty()) return "";
  const size_t colon = value.rfind(':');
  int port = 0;
  const bool good = colon != std::string::npos && colon > 0 &&
                    absl::SimpleAtoi(value.substr(colon + 1), &port) && port >= 0 && port <= 65535;
  return good ? "" : "must be \"host:port\", or empty for none";
}

std::string LogLevel(const std::string& value) {
  const bool good = value == "debug" || value == "info" || value == "warn" || value == "error";
  return good ? "" : "must be debug, info, warn or error";
}

std::string TimeZone(const std::string& value) {
  absl::TimeZone zone;
  return absl::LoadTimeZone(value, &zone) ? "" : "must be a time zone such as \"Asia/Bangkok\"";
}

std::string OctalMode(const std::string& value) {
  bool good = value.size() == 4 && value[0] == '0';
  for (const char c : value) good = good && c >= '0' && c <= '7';
  return good ? "" : "must be four octal digits such as \"0660\"";
}

std::string NotEmpty(const std::string& value) { return value.empty() ? "must not be empty" : ""; }

std::string DottedAddress(const std::string& value) {
  bool good = !value.empty() && value.size() <= 253;
  for (const char c : value)
    good = good && (absl::ascii_isalnum(c) || c == '.' || c == '-' || c == ':');
  return good ? "" : "must be an IP address or a host name";
}

void ReadStation(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "station", problems);
  section.String("id", config.station_id, Name);
  section.String("state_directory", config.state_directory, AbsolutePath);
  section.String("export_directory", config.export_directory, AbsolutePath);
  section.String("temp_directory", config.temp_directory, AbsolutePath);
  section.String("time_zone", config.time_zone, TimeZone);
  section.String("socket", config.socket, SocketPath);
  std::string mode;
  section.String("socket_mode", mode, OctalMode);
  if (!mode.empty()) config.socket_mode = static_cast<uint32_t>(std::stoul(mode, nullptr, 8));
  section.String("socket_group", config.socket_group, Anything);
  section.String("log_level", config.log_level, LogLevel);
  section.Integer("minimum_free_mib", config.minimum_free_mib, 0, int64_t{1} << 30);
  section.Duration("drain_timeout", config.drain_timeout, absl::Seconds(1), absl::Minutes(15));
  section.String("deployed_by", config.deployed_by, NotEmpty);
  section.RefuseUnknownKeys();
}

void ReadPort(const toml::table& table, Config& config, std::set<std::string>& names,
              ConfigProblems& problems) {
  ConfigSection section(table, "port", problems);
  PortConfig port;
  section.String("name", port.name, PortName);
  section.String("alias", port.alias, NameOrEmpty);
  section.String("address", port.address, PortAddress);
  section.String("usb_driver", port.usb_driver, UsbDriver);
  section.String("reset", port.reset, ResetSequence);
  section.Number("baud_rate", port.baud_rate, 9600, 12'000'000);
  section.RefuseUnknownKeys();
  if (!table.contains("name")) section.Complain("name", "is missing");
  if (!table.contains("address") && !table.contains("alias") && !table.contains("usb_driver") &&
      !table.contains("reset") && !table.contains("baud_rate")) {
    section.Complain("address", "is missing, and without an alias the port says nothing");
  }
  if (table.contains("address") && table.contains("usb_driver")) {
    section.Complain("usb_driver", "is for ports found on the USB bus, which have no address here");
  }
  if (!port.name.empty() && !names.insert(port.name).second) {
    section.Complain("name", absl::StrCat("\"", port.name, "\" is taken by another port"));
  }
  if (!port.alias.empty() && !names.insert(port.alias).second) {
    section.Complain("alias", absl::StrCat("\"", port.alias, "\" is taken by another port"));
  }
  config.ports.push_back(port);
}

void ReadUsb(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "usb", problems);
  section.String("usb_driver", config.usb.usb_driver, UsbDriver);
  section.Strings("allow_ports", config.usb.allow_ports, kMaxList, PortPattern);
  section.Strings("deny_ports", config.usb.deny_ports, kMaxList, PortPattern);
  section.Strings("allow_ids", config.usb.allow_ids, kMaxList, UsbIdText);
  section.Strings("deny_ids", config.usb.deny_ids, kMaxList, UsbIdText);
  section.RefuseUnknownKeys();
}

void ReadFlash(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "flash", problems);
  section.Number("baud_rate", config.baud_rate, 9600, 12'000'000);
  section.String("stub_directory", config.stub_directory, AbsolutePathOrEmpty);
  section.RefuseUnknownKeys();
}

void ReadPipeline(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "pipeline", problems);
  section.Number("max_pending", config.max_pending, 1, 100'000);
  const auto timeout = [&section](absl::string_view key, absl::Duration& value) {
    section.Duration(key, value, absl::Seconds(1), absl::Hours(2));
  };
  timeout("prepare_timeout", config.timeouts.prepare);
  timeout("connect_timeout", config.timeouts.connect);
  timeout("identify_timeout", config.timeouts.identify);
  timeout("flash_timeout", config.timeouts.flash);
  timeout("verify_timeout", config.timeouts.verify);
  timeout("boot_timeout", config.timeouts.boot);
  timeout("confirm_timeout", config.timeouts.confirm);
  timeout("export_timeout", config.timeouts.export_record);
  section.Duration("replug_window", config.replug_window, absl::ZeroDuration(), absl::Minutes(10));
  section.Number("max_replugs", config.max_replugs, 0, 100);
  section.Boolean("any_takes_used_boards", config.any_takes_used_boards);
  section.Number("max_running", config.max_running, 0, 1000);
  section.Number("max_running_per_hub", config.max_running_per_hub, 0, 1000);
  section.RefuseUnknownKeys();
}

void ReadBatches(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "batches", problems);
  section.Strings("allow_ports", config.batch_ports.allow, kMaxList, PortPattern);
  section.Strings("deny_ports", config.batch_ports.deny, kMaxList, PortPattern);
  section.RefuseUnknownKeys();
}

void ReadConfirm(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "confirm", problems);
  section.Boolean("serial", config.confirm.serial);
  section.Boolean("http", config.confirm.http);
  section.String("ip", config.confirm.ip, DottedAddress);
  section.Duration("clean_boot_window", config.confirm.clean_boot_window, absl::Seconds(1),
                   absl::Minutes(1));
  section.Number("http_tries", config.confirm.http_tries, 1, 100);
  section.Duration("http_timeout", config.confirm.http_timeout, absl::Milliseconds(100),
                   absl::Minutes(1));
  section.RefuseUnknownKeys();
}

void ReadIdentity(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "identity", problems);
  section.String("ssid_pattern", config.identity.ssid_pattern, NotEmpty);
  section.Number("password_length", config.identity.password_length, 12, 63);
  section.Tables("nvs", [&config, &problems](const toml::table& entry) {
    ConfigSection mapping(entry, "identity.nvs", problems);
    identity::NvsMapping parsed;
    mapping.String("namespace", parsed.nvs_namespace, NotEmpty);
    mapping.String("key", parsed.key, NotEmpty);
    mapping.String("value", parsed.value, NotEmpty);
    mapping.RefuseUnknownKeys();
    for (const char* key : {"namespace", "key", "value"}) {
      if (!entry.contains(key)) mapping.Complain(key, "is missing");
    }
    config.identity.nvs.push_back(parsed);
  });
  section.RefuseUnknownKeys();
  if (const absl::Status status = identity::ValidateIdentityOptions(config.identity);
      !status.ok() && problems.empty()) {
    problems.Add(table.source(), absl::StrCat("identity: ", status.message()));
  }
}

void ReadFirmware(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "firmware", problems);
  constexpr uint64_t kMib = uint64_t{1} << 20;
  int64_t package = static_cast<int64_t>(config.firmware.max_package_bytes / kMib);
  int64_t unpacked = static_cast<int64_t>(config.firmware.max_unpacked_bytes / kMib);
  section.Integer("max_package_mib", package, 1, 1024);
  section.Integer("max_unpacked_mib", unpacked, 1, 2048);
  section.Number("max_files", config.firmware.max_files, 1, 100'000);
  section.RefuseUnknownKeys();
  config.firmware.max_package_bytes = static_cast<uint64_t>(package) * kMib;
  config.firmware.max_unpacked_bytes = static_cast<uint64_t>(unpacked) * kMib;
}

void ReadBuilder(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "builder", problems);
  section.String("platformio", config.builder.platformio, AbsolutePathOrEmpty);
  section.String("core_directory", config.builder.core_directory, AbsolutePathOrEmpty);
  section.String("path", config.builder.path, NotEmpty);
  section.Duration("timeout", config.builder.timeout, absl::Seconds(1), absl::Hours(2));
  int64_t memory = static_cast<int64_t>(config.builder.max_memory_bytes >> 20);
  section.Integer("max_memory_mib", memory, 256, 65'536);
  config.builder.max_memory_bytes = static_cast<uint64_t>(memory) << 20;
  section.Boolean("network", config.builder.network);
  section.Boolean("sandbox", config.builder.sandbox);
  section.RefuseUnknownKeys();
}

void ReadTls(const toml::table& table, Config& config, ConfigProblems& problems) {
  ConfigSection section(table, "tls", problems);
  section.String("address", config.tls.address, HostPortOrEmpty);
  section.String("certificate_file", config.tls.certificate_file, AbsolutePathOrEmpty);
  section.String("key_file", config.tls.key_file, AbsolutePathOrEmpty);
  section.String("client_ca_file", config.tls.client_ca_file, AbsolutePathOrEmpty);
  section.RefuseUnknownKeys();
  if (config.tls.address.empty()) return;
  const auto require = [&section](absl::string_view key, const std::string& value) {
    if (value.empty()) section.Complain(key, "is needed when tls.address is set");
  };
  require("certificate_file", config.tls.certificate_file);
  require("key_file", config.tls.key_file);
  require("client_ca_file", config.tls.client_ca_file);
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& source) {
  Config config;
  ConfigProblems problems(source);
  toml::table root;
  try {
    root = toml::parse(std::string(text));
  } catch (const toml::parse_error& error) {  // the library's only way to report
    problems.AddLine(error.source().begin.line, std::string(error.description()));
    return absl::InvalidArgumentError(problems.Text());
  }

  ConfigSection top(root, "", problems);
  std::set<std::string> port_names;
  top.Table("station", [&](const toml::table& t) { ReadStation(t, config, problems); });
  top.Tables("port", [&](const toml::table& t) { ReadPort(t, config, port_names, problems); });
  top.Table("usb", [&](const toml::table& t) { ReadUsb(t, config, problems); });
  top.Table("flash", [&](const toml::table& t) { ReadFlash(t, config, problems); });
  top.Table("pipeline", [&](const toml::table& t) { ReadPipeline(t, config, problems); });
  top.Table("batches", [&](const toml::table& t) { ReadBatches(t, config, problems); });
  top.Table("confirm", [&](const toml::table& t) { ReadConfirm(t, config, problems); });
  top.Table("identity", [&](const toml::table& t) { ReadIdentity(t, config, problems); });
  top.Table("firmware", [&](const toml::table& t) { ReadFirmware(t, config, problems); });
  top.Table("builder", [&](const toml::table& t) { ReadBuilder(t, config, problems); });
  top.Table("tls", [&](const toml::table& t) { ReadTls(t, config, problems); });
  top.Table("metrics", [&](const toml::table& t) {
    ConfigSection section(t, "metrics", problems);
    section.String("address", config.metrics_address, HostPortOrEmpty);
    section.RefuseUnknownKeys();
  });
  top.Table("backup", [&](const toml::table& t) {
    ConfigSection section(t, "backup", problems);
    section.String("directory", config.backup_directory, AbsolutePath);
    section.Number("keep", config.backups_kept, 1, 1000);
    section.Duration("max_age", config.backup_max_age, absl::ZeroDuration(), absl::Hours(24 * 366));
    section.RefuseUnknownKeys();
  });
  top.Table("testing", [&](const toml::table& t) {
    ConfigSection section(t, "testing", problems);
    section.Boolean("failpoints", config.failpoints);
    section.RefuseUnknownKeys();
  });
  top.RefuseUnknownKeys();

  if (!problems.empty()) return absl::InvalidArgumentError(problems.Text());
  return config;
}

absl::StatusOr<Config> ReadConfig(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::SystemFileSystem().ReadFile(path, kMaxFileBytes),
                   _ << "reading the configuration");
  return ParseConfig(text, path);
}

}  // namespace kiln::daemon
