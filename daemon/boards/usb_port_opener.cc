#include "daemon/boards/usb_port_opener.h"

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "daemon/boards/port_access.h"
#include "daemon/boards/settle_time.h"
#include "daemon/boards/usb_bus.h"
#include "daemon/boards/usb_driver_choice.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/port_holder.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_serial.h"
#include "errors/error.h"

namespace kiln::boards {
namespace {

using errors::ErrorCode;
using errors::MakeError;
using Use = UsbDriverChoice::Use;

}  // namespace

absl::Status CheckDeviceFile(const std::string& path) {
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no ", path, " in this system or container"));
  }
  return CheckAccess(path);
}

std::string TerminalPath(const UsbDrivers& drivers, const UsbSerialPort& port) {
  return port.tty.empty() ? "" : absl::StrCat(drivers.dev_root, "/", port.tty);
}

std::string BusFilePath(const UsbDrivers& drivers, const UsbBusDevice& device) {
  return absl::StrFormat("%s/bus/usb/%03d/%03d", drivers.dev_root, device.attributes.topology.bus,
                         device.attributes.device_number);
}

std::string HeldPath(const UsbDrivers& drivers, const UsbBusDevice& device,
                     const UsbSerialPort& port) {
  if (port.driver == "usbfs") return BusFilePath(drivers, device);
  return TerminalPath(drivers, port);
}

UsbDriverSituation LookAtDrivers(const UsbDrivers& drivers, const UsbBusDevice& device,
                                 const UsbSerialPort& port, UsbDriverSetting setting,
                                 bool settling) {
  const auto check_file = [&](const std::string& path) {
    return WithUdevRule(drivers.check_file(path), device.attributes.vendor,
                        device.attributes.product);
  };
  UsbDriverSituation situation;
  situation.setting = setting;
  situation.own_driver = device.adapter->driver != ports::UsbDriver::kKernelOnly;
  situation.own_driver_better = device.adapter->own_driver_better;
  situation.libusb = drivers.libusb;
  situation.kernel_terminal = !port.tty.empty();
  if (situation.kernel_terminal)
    situation.terminal_access = check_file(TerminalPath(drivers, port));
  if (situation.own_driver && setting != UsbDriverSetting::kKernel) {
    situation.bus_access = check_file(BusFilePath(drivers, device));
  }
  situation.settling = settling;
  return situation;
}

absl::StatusOr<std::unique_ptr<ports::ByteStream>> UsbPortOpener::Open() {
  for (SettlePause pause;;) {
    const std::optional<UsbBusDevice> device = bus_.DeviceAt(place_.topology);
    if (!device.has_value()) {
      return MakeError(ErrorCode::kBoardNotFound,
                       absl::StrCat("nothing is plugged in at usb-", place_.topology));
    }
    if (device->instance != place_.instance) {
      return MakeError(
          ErrorCode::kBoardUnplugged,
          absl::StrCat("the board at usb-", place_.topology, " has just been plugged in again"));
    }
    const bool settling = clock_.Monotonic() < place_.settled_at;
    if (place_.serial_port < device->serial_ports.size()) {
      const UsbSerialPort& port = device->serial_ports[place_.serial_port];
      const UsbDriverChoice choice =
          ChooseUsbDriver(LookAtDrivers(drivers_, *device, port, place_.setting, settling));
      if (choice.use == Use::kTerminal) {
        return drivers_.terminal(TerminalPath(drivers_, port))->Open();
      }
      if (choice.use == Use::kOwnDriver) return OpenOwn(*device, port);
      if (choice.use == Use::kNothing) return choice.why;
    } else if (!settling) {
      return MakeError(ErrorCode::kBoardNotFound,
                       absl::StrCat("the adapter at usb-", place_.topology, " has no serial port ",
                                    static_cast<int>(place_.serial_port)));
    }
    clock_.Sleep(pause.Next(place_.settled_at - clock_.Monotonic()));
  }
}

absl::StatusOr<std::unique_ptr<ports::ByteStream>> UsbPortOpener::OpenOwn(
    const UsbBusDevice& device, const UsbSerialPort& port) const {
  const std::string path = HeldPath(drivers_, device, port);
  const std::string holder = path.empty() ? "" : ports::FindHolder(path, drivers_.proc_root);
  if (!holder.empty()) {
    return MakeError(ErrorCode::kPortBusy, absl::StrCat(path, " is held by ", holder));
  }
  const ports::UsbPlace place = {.bus = device.attributes.topology.bus,
                                 .hub_ports = device.attributes.topology.hub_ports,
                                 .device_number = device.attributes.device_number,
                                 .serial_port = port.index,
                                 .vendor = device.attributes.vendor,
                                 .product = device.attributes.product};
  return drivers_.own(place, *device.adapter)->Open();
}

bool UsbPortOpener::Present() {
  const std::optional<UsbBusDevice> device = bus_.DeviceAt(place_.topology);
  return device.has_value() && device->instance == place_.instance;
}

}  // namespace kiln::boards
