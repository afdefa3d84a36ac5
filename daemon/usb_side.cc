#include "daemon/usb_side.h"

#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "daemon/boards/port_power.h"
#include "daemon/boards/usb_attributes.h"
#include "daemon/boards/usb_driver_choice.h"
#include "daemon/boards/usb_port_opener.h"
#include "daemon/boards/usb_scan.h"
#include "daemon/ports/kernel_tty.h"
#include "daemon/ports/usb/usb_serial.h"
#include "daemon/telemetry/health.h"
#include "daemon/usb_serial_number.h"
#include "errors/error.h"

namespace kiln::daemon {
namespace {

// `text` as the configuration's check let it pass.
boards::UsbDriverSetting SettingOf(const std::string& text) {
  if (text == "user") return boards::UsbDriverSetting::kUser;
  if (text == "kernel") return boards::UsbDriverSetting::kKernel;
  return boards::UsbDriverSetting::kAuto;
}

std::vector<boards::UsbId> IdsOf(const std::vector<std::string>& texts) {
  std::vector<boards::UsbId> ids;
  for (const std::string& text : texts) {
    if (const auto id = boards::ParseUsbId(text); id.ok()) ids.push_back(*id);
  }
  return ids;
}

boards::UsbScanOptions OptionsOf(const Config& config) {
  boards::UsbScanOptions options;
  options.driver = SettingOf(config.usb.usb_driver);
  for (const PortConfig& port : config.ports) {
    if (!port.usb_driver.empty()) options.port_drivers[port.name] = SettingOf(port.usb_driver);
  }
  options.allow_ports = config.usb.allow_ports;
  options.deny_ports = config.usb.deny_ports;
  options.allow_ids = IdsOf(config.usb.allow_ids);
  options.deny_ids = IdsOf(config.usb.deny_ids);
  return options;
}

}  // namespace

UsbSide::UsbSide(const Config& config, absl::StatusOr<std::unique_ptr<ports::UsbContext>> context,
                 base::Clock& clock, telemetry::Metrics& metrics, Roots roots)
    : config_(config),
      clock_(clock),
      metrics_(metrics),
      roots_(std::move(roots)),
      libusb_(context.status()),
      context_(context.ok() ? *std::move(context) : nullptr),
      record_(
          boards::DetectHotplugMode(context_ != nullptr && context_->has_hotplug(), roots_.run)) {
  metrics_.SetHotplugMode(boards::NameOf(record_.mode()));
  if (context_ == nullptr) return;
  context_->SetErrorObserver([this](absl::string_view operation, absl::string_view code) {
    metrics_.UsbTransferFailed(operation, code);
  });
}

UsbSide::~UsbSide() {
  Disconnect();
  if (context_ != nullptr) context_->SetErrorObserver(nullptr);
}

std::unique_ptr<boards::PortSource> UsbSide::MakeSource() {
  boards::UsbDrivers drivers;
  drivers.libusb = libusb_;
  drivers.sysfs_root = roots_.sysfs;
  drivers.dev_root = roots_.dev;
  drivers.proc_root = roots_.proc;
  drivers.terminal = [sysfs = roots_.sysfs, dev = roots_.dev](const std::string& path) {
    return std::make_unique<ports::KernelTtyOpener>(path, sysfs, dev);
  };
  drivers.own = [this](const ports::UsbPlace& place, const ports::UsbAdapter& adapter) {
    return ports::MakeUsbSerialOpener(*context_, clock_, place, adapter, roots_.sysfs);
  };
  return boards::MakeUsbScan(OptionsOf(config_), std::move(drivers), clock_);
}

void UsbSide::Connect(boards::Registry& registry) {
  connected_ = true;
  if (context_ == nullptr) return;
  context_->SetHotplugObserver([this, &registry] {
    record_.EventCame();
    registry.Wake();
  });
  registry.Wake();  // for what came between its last look and now
}

void UsbSide::Disconnect() {
  if (context_ != nullptr) context_->SetHotplugObserver(nullptr);
}

void UsbSide::BoardArrived(const boards::BoardInfo& board) {
  if (!connected_ || !board.usb.has_value()) return;
  record_.BoardFound(board.found_by);
  metrics_.DeviceFound(board.found_by == boards::FoundBy::kEvent ? "event" : "scan");
  metrics_.SetHotplugMode(boards::NameOf(record_.mode()));
}

bool UsbSide::PortNeedsLibusb(const boards::Registry& registry) const {
  if (config_.usb.usb_driver == "user") return true;
  for (const PortConfig& port : config_.ports) {
    if (port.usb_driver == "user") return true;
  }
  for (const boards::BoardInfo& board : registry.List()) {
    if (board.present && errors::Is(board.usable, errors::ErrorCode::kUsbUnavailable)) return true;
  }
  return false;
}

absl::Status UsbSide::CheckHealth(const boards::Registry& registry, std::string& message) const {
  if (!libusb_.ok() && PortNeedsLibusb(registry)) return libusb_;
  bool has_usb_ports = false;
  for (const boards::BoardInfo& board : registry.List()) {
    has_usb_ports = has_usb_ports || board.usb.has_value();
  }
  const std::string found = record_.Describe();
  if (has_usb_ports && record_.mode() == boards::HotplugMode::kPoll) {
    return telemetry::Degraded(
        absl::StrCat("Boards on the USB bus are only found by polling, once a second. ", found,
                     libusb_.ok() ? "" : absl::StrCat(" (", std::string(libusb_.message()), ")")));
  }
  message = libusb_.ok()
                ? found
                : absl::StrCat("Without own USB drivers: ", std::string(libusb_.message()));
  return absl::OkStatus();
}

std::string UsbSide::MacAt(const std::string& topology) const {
  return MacOfUsbSerialNumber(roots_.sysfs, topology);
}

absl::Status UsbSide::PowerCycle(const boards::UsbFacts& usb, absl::Duration off_time,
                                 const base::Cancellation& cancellation) {
  const auto topology = boards::ParseTopology(usb.topology);
  if (!topology.has_value()) {
    return errors::MakeError(errors::ErrorCode::kPortPowerUnsupported,
                             absl::StrCat("no port of a USB hub: ", usb.topology));
  }
  return boards::PowerCyclePort(roots_.sysfs, *topology, off_time, clock_, cancellation);
}

}  // namespace kiln::daemon
