#include "daemon/boards/configured_ports.h"

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/boards/port_access.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/settle_time.h"
#include "daemon/boards/settling_terminal_opener.h"
#include "daemon/ports/address.h"
#include "daemon/ports/usb_sysfs.h"
#include "errors/error.h"

namespace kiln::boards {
namespace {

constexpr size_t kMaxName = 64;

bool IsName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxName || !absl::ascii_isalnum(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

absl::Status Invalid(const PortConfig& config, absl::string_view why) {
  return errors::MakeError(
      errors::ErrorCode::kRequestInvalid,
      absl::StrCat("port \"", absl::CHexEscape(config.name.substr(0, kMaxName)), "\": ", why));
}

// Where the links of `path` end; empty when they end nowhere.
std::string Canonical(const std::string& path) {
  std::error_code error;
  const std::filesystem::path end = std::filesystem::canonical(path, error);
  return error ? "" : end.string();
}

class ConfiguredPorts final : public PortSource {
 public:
  // A port as it was configured, with the file to look at: empty for sockets.
  struct Port {
    FoundPort found;
    std::string path;
    bool kernel_tty = false;
    // Of the board that is there.
    std::string instance;
    absl::Duration settled_at;
    absl::Status refusal;  // once it has been refused
  };

  ConfiguredPorts(std::vector<Port> ports, base::Clock& clock, TerminalSystem system)
      : ports_(std::move(ports)), clock_(clock), system_(std::move(system)) {}

  std::vector<FoundPort> Scan() override {
    std::vector<FoundPort> all;
    all.reserve(ports_.size());
    for (Port& port : ports_) {
      FoundPort found = port.found;
      if (found.opener != nullptr) {
        found.device = Canonical(port.path);
        // A link may vanish between two looks at it.
        found.present = found.opener->Present() && (port.path.empty() || !found.device.empty());
        if (found.present) {
          found.instance = found.opener->Instance();
          if (port.kernel_tty) {
            Settle(port, found);
          } else {
            found.usable = system_.check_access(port.path);
          }
        } else {
          found.device.clear();
          port.instance.clear();
          if (port.kernel_tty) found.awaited = port.path;
        }
      }
      all.push_back(std::move(found));
    }
    return all;
  }

 private:
  // OK or PortPermission, with the udev rule where the terminal at `path`, in the end `device`, is
  // on the USB bus. Reads attributes then that may wait for the device.
  static absl::Status Access(const TerminalSystem& system, const std::string& path,
                             const std::string& device) {
    absl::Status access = system.check_access(path);
    if (access.ok()) return access;
    const auto usb =
        ports::UsbDeviceOfTty(std::filesystem::path(device).filename().string(), system.sysfs_root);
    return usb.has_value() ? WithUdevRule(access, usb->vendor, usb->product) : access;
  }

  // What arrives late is no reason to call a board unusable that has just come: whoever opens it
  // waits.
  void Settle(Port& port, FoundPort& found) {
    if (port.instance != found.instance) {
      port.instance = found.instance;
      port.settled_at = clock_.Monotonic() + kUsbSettleTime;
      port.refusal = absl::OkStatus();
    }
    if (clock_.Monotonic() >= port.settled_at && !system_.check_access(port.path).ok()) {
      // Told once for each board, so that no later look waits for it.
      if (port.refusal.ok()) port.refusal = Access(system_, port.path, found.device);
      found.usable = port.refusal;
    }
    found.opener = std::make_shared<SettlingTerminalOpener>(
        std::move(found.opener),
        [system = system_, path = port.path, device = found.device] {
          return Access(system, path, device);
        },
        port.settled_at, clock_);
  }

  std::vector<Port> ports_;
  base::Clock& clock_;
  const TerminalSystem system_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PortSource>> MakeConfiguredPorts(
    const std::vector<PortConfig>& configs, base::Clock& clock, TerminalSystem system) {
  std::vector<ConfiguredPorts::Port> ports;
  std::set<std::string> names;  // aliases too: both are what people type
  std::set<std::string> addresses;
  for (const PortConfig& config : configs) {
    if (!IsName(config.name)) {
      return Invalid(config, "a name has 1 to 64 letters, digits, '.', '_' or '-'");
    }
    if (!config.alias.empty() && !IsName(config.alias)) {
      return Invalid(config, "an alias has 1 to 64 letters, digits, '.', '_' or '-'");
    }
    if (!names.insert(config.name).second) return Invalid(config, "this name is used twice");
    if (!config.alias.empty() && !names.insert(config.alias).second) {
      return Invalid(config, absl::StrCat("the alias \"", config.alias, "\" is used twice"));
    }
    ConfiguredPorts::Port port;
    port.found.name = config.name;
    port.found.alias = config.alias;
    if (!config.address.empty()) {
      if (!addresses.insert(config.address).second) {
        return Invalid(config, "another port has the same address");
      }
      ASSIGN_OR_RETURN(const ports::Address address, ports::ParseAddress(config.address),
                       _ << "port \"" << config.name << "\"");
      ASSIGN_OR_RETURN(port.found.opener, ports::MakeOpener(config.address));
      port.found.address = port.found.opener->address();
      port.path = address.path;
      port.kernel_tty = address.kind == ports::Address::Kind::kKernelTty;
    }
    ports.push_back(std::move(port));
  }
  return std::make_unique<ConfiguredPorts>(std::move(ports), clock, std::move(system));
}

}  // namespace kiln::boards
