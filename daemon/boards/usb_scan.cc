#include "daemon/boards/usb_scan.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/holder_watch.h"
#include "daemon/boards/port_power.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/settle_time.h"
#include "daemon/boards/usb_bus.h"
#include "daemon/boards/usb_driver_choice.h"
#include "daemon/boards/usb_facts.h"
#include "daemon/boards/usb_port_opener.h"
#include "daemon/ports/usb/adapters.h"

namespace kiln::boards {
namespace {

using Use = UsbDriverChoice::Use;

bool Contains(const std::vector<UsbId>& ids, const UsbAttributes& device) {
  return std::any_of(ids.begin(), ids.end(), [&device](const UsbId& id) {
    return id.vendor == device.vendor && id.product == device.product;
  });
}

bool MatchesAny(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&name](const std::string& pattern) {
    return MatchesPortPattern(pattern, name);
  });
}

class UsbScan final : public PortSource {
 public:
  UsbScan(UsbScanOptions options, UsbDrivers drivers, base::Clock& clock)
      : options_(std::move(options)),
        drivers_(std::move(drivers)),
        clock_(clock),
        bus_(drivers_.sysfs_root),
        holders_(drivers_.proc_root, clock) {}

  std::vector<FoundPort> Scan() override;

 private:
  struct Arrival {
    std::string instance;
    absl::Duration settled_at;
  };

  // Until when the device plugged in at this place has time to settle.
  absl::Duration SettledAt(const UsbBusDevice& device);
  bool Allowed(const std::string& port, const UsbBusDevice& device) const;
  // Whether a program has claimed the port's interface, by a look at it now.
  bool IsClaimed(const UsbBusDevice& device, const UsbSerialPort& port) const;
  FoundPort Describe(const std::string& name, const UsbBusDevice& device, const UsbSerialPort& port,
                     absl::Duration settled_at) const;

  const UsbScanOptions options_;
  const UsbDrivers drivers_;
  base::Clock& clock_;
  const UsbBus bus_;
  HolderWatch holders_;
  std::map<std::string, Arrival> arrivals_;  // by topology
};

absl::Duration UsbScan::SettledAt(const UsbBusDevice& device) {
  Arrival& arrival = arrivals_[device.name];
  if (arrival.instance != device.instance) {
    arrival = {device.instance, clock_.Monotonic() + kUsbSettleTime};
  }
  return arrival.settled_at;
}

bool UsbScan::Allowed(const std::string& port, const UsbBusDevice& device) const {
  if (MatchesAny(options_.deny_ports, port)) return false;
  if (Contains(options_.deny_ids, device.attributes)) return false;
  if (!options_.allow_ports.empty() && !MatchesAny(options_.allow_ports, port)) return false;
  return options_.allow_ids.empty() || Contains(options_.allow_ids, device.attributes);
}

bool UsbScan::IsClaimed(const UsbBusDevice& device, const UsbSerialPort& port) const {
  const std::optional<UsbBusDevice> now = bus_.DeviceAt(device.name);
  return now.has_value() && now->instance == device.instance &&
         port.index < now->serial_ports.size() && now->serial_ports[port.index].driver == "usbfs";
}

FoundPort UsbScan::Describe(const std::string& name, const UsbBusDevice& device,
                            const UsbSerialPort& port, absl::Duration settled_at) const {
  const auto configured = options_.port_drivers.find(name);
  const UsbDriverSetting setting =
      configured == options_.port_drivers.end() ? options_.driver : configured->second;
  const bool settling = clock_.Monotonic() < settled_at;
  const UsbDriverChoice choice =
      ChooseUsbDriver(LookAtDrivers(drivers_, device, port, setting, settling));

  FoundPort found;
  found.name = name;
  found.device = TerminalPath(drivers_, port);
  found.address = choice.use == Use::kOwnDriver || found.device.empty()
                      ? absl::StrCat("usb:", absl::string_view(name).substr(4))
                      : found.device;
  found.adapter = absl::StrFormat("%s (%04x:%04x)", device.adapter->name, device.attributes.vendor,
                                  device.attributes.product);
  found.present = true;
  found.instance = device.instance;
  // What arrives late is no reason to call a board unusable that has just come.
  if (!settling) {
    found.usable = choice.use == Use::kNothing
                       ? choice.why
                       : holders_.Check(HeldPath(drivers_, device, port), port.driver == "usbfs",
                                        [&] { return IsClaimed(device, port); });
  }
  found.opener = std::make_shared<UsbPortOpener>(drivers_,
                                                 UsbPortPlace{.topology = device.name,
                                                              .serial_port = port.index,
                                                              .instance = device.instance,
                                                              .setting = setting,
                                                              .settled_at = settled_at},
                                                 found.address, clock_);

  UsbFacts facts;
  facts.vendor = device.attributes.vendor;
  facts.product = device.attributes.product;
  facts.topology = device.name;
  facts.hub = device.attributes.topology.hub();
  facts.hub_port = device.attributes.topology.hub_ports.back();
  facts.hub_ports = bus_.HubPorts(facts.hub);
  facts.depth = static_cast<int>(device.attributes.topology.hub_ports.size()) - 1;
  facts.speed_mbit = device.attributes.speed_mbit;
  facts.max_power_ma = device.attributes.max_power_ma;
  facts.power_switch = HasPortPower(drivers_.sysfs_root, device.attributes.topology);
  facts.own_driver = choice.use == Use::kOwnDriver;
  facts.kernel_driver = port.driver;
  facts.driver_reason = choice.reason;
  found.usb = std::move(facts);
  return found;
}

std::vector<FoundPort> UsbScan::Scan() {
  std::vector<FoundPort> found;
  std::vector<std::string> watched;
  std::map<std::string, Arrival> gone = arrivals_;
  const std::vector<UsbBusDevice> devices = bus_.Devices();
  for (const UsbBusDevice& device : devices) {
    gone.erase(device.name);
    for (const UsbSerialPort& port : device.serial_ports) {
      std::string path = HeldPath(drivers_, device, port);
      if (!path.empty()) watched.push_back(std::move(path));
    }
  }
  for (const auto& [name, arrival] : gone) arrivals_.erase(name);
  holders_.Look(std::move(watched));

  for (const UsbBusDevice& device : devices) {
    const absl::Duration settled_at = SettledAt(device);
    for (const UsbSerialPort& port : device.serial_ports) {
      std::string name = absl::StrCat("usb-", device.name);
      // The first port has the plain name whatever its interface is: a chip's own USB numbers it
      // differently in its loader and in its program.
      if (port.index > 0) absl::StrAppend(&name, "-if", static_cast<int>(port.interface_number));
      if (Allowed(name, device)) found.push_back(Describe(name, device, port, settled_at));
    }
  }
  return found;
}

}  // namespace

absl::StatusOr<UsbId> ParseUsbId(absl::string_view text) {
  uint32_t vendor = 0;
  uint32_t product = 0;
  const bool good = text.size() == 9 && text[4] == ':' &&
                    std::all_of(text.begin(), text.end(),
                                [](char c) { return absl::ascii_isxdigit(c) || c == ':'; }) &&
                    absl::SimpleHexAtoi(text.substr(0, 4), &vendor) &&
                    absl::SimpleHexAtoi(text.substr(5), &product);
  if (!good) {
    return absl::InvalidArgumentError(absl::StrCat("\"", absl::CHexEscape(text.substr(0, 32)),
                                                   "\" is no USB id such as \"10c4:ea60\""));
  }
  return UsbId{static_cast<uint16_t>(vendor), static_cast<uint16_t>(product)};
}

bool MatchesPortPattern(absl::string_view pattern, absl::string_view name) {
  // The last '*' seen may take one character more whenever the rest does not fit.
  size_t star = absl::string_view::npos;
  size_t star_name = 0;
  size_t p = 0;
  size_t n = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::unique_ptr<PortSource> MakeUsbScan(UsbScanOptions options, UsbDrivers drivers,
                                        base::Clock& clock) {
  return std::make_unique<UsbScan>(std::move(options), std::move(drivers), clock);
}

}  // namespace kiln::boards
