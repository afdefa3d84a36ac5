#ifndef KILN_DAEMON_BOARDS_USB_PORT_OPENER_H_
#define KILN_DAEMON_BOARDS_USB_PORT_OPENER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/usb_bus.h"
#include "daemon/boards/usb_driver_choice.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_serial.h"

namespace kiln::boards {

// OK, NOT_FOUND when there is no such file, or PortPermission; opens nothing.
absl::Status CheckDeviceFile(const std::string& path);

// The two ways to a USB board, and where the system shows it. Made by the station; copies share the
// functions, which must be thread-safe.
struct UsbDrivers {
  using MakeTerminal = std::function<std::unique_ptr<ports::StreamOpener>(const std::string& path)>;
  using MakeOwn = std::function<std::unique_ptr<ports::StreamOpener>(
      const ports::UsbPlace& place, const ports::UsbAdapter& adapter)>;

  // Whether this process may open the device file: OK, NOT_FOUND or PortPermission.
  using CheckFile = std::function<absl::Status(const std::string& path)>;

  MakeTerminal terminal;
  MakeOwn own;          // not called unless `libusb` is OK
  absl::Status libusb;  // why there are no own drivers
  CheckFile check_file = CheckDeviceFile;
  std::string sysfs_root = "/sys";
  std::string dev_root = "/dev";
  std::string proc_root = "/proc";
};

// Where a board is: one serial port of what is plugged in at a place, and how it is to be reached.
struct UsbPortPlace {
  std::string topology;  // "1-2.3"
  uint8_t serial_port = 0;
  std::string instance;  // UsbBusDevice::instance
  UsbDriverSetting setting = UsbDriverSetting::kAuto;
  absl::Duration settled_at;  // on the clock's monotonic time
};

// "/dev/ttyUSB0", "/dev/bus/usb/001/004".
std::string TerminalPath(const UsbDrivers& drivers, const UsbSerialPort& port);
std::string BusFilePath(const UsbDrivers& drivers, const UsbBusDevice& device);
// The file that a program has open which uses the board: the adapter's, where a program has claimed
// its interface ("usbfs" is then the interface's driver), else the terminal's; empty when neither
// can be.
std::string HeldPath(const UsbDrivers& drivers, const UsbBusDevice& device,
                     const UsbSerialPort& port);

// What ChooseUsbDriver wants to know of the board, looked up now without opening anything.
// PortPermission names the udev rule that is missing.
UsbDriverSituation LookAtDrivers(const UsbDrivers& drivers, const UsbBusDevice& device,
                                 const UsbSerialPort& port, UsbDriverSetting setting,
                                 bool settling);

// Opens the board at a place through the driver that is the right one at that moment, waiting for
// it until the board has settled. Refuses what was plugged in there later, until the registry knows
// of it: BoardUnplugged. PortBusy, with the holder's name, when the own driver is to be used and
// another program holds the terminal: taking the adapter would tear it out of that program's hands.
// Other errors are those of the drivers. `clock` must outlive it. Thread-safe.
class UsbPortOpener final : public ports::StreamOpener {
 public:
  // `address` is for people.
  UsbPortOpener(UsbDrivers drivers, UsbPortPlace place, std::string address, base::Clock& clock)
      : drivers_(std::move(drivers)),
        place_(std::move(place)),
        address_(std::move(address)),
        bus_(drivers_.sysfs_root),
        clock_(clock) {}

  absl::StatusOr<std::unique_ptr<ports::ByteStream>> Open() override;
  std::string address() const override { return address_; }
  bool Present() override;
  std::string Instance() override { return place_.instance; }

 private:
  absl::StatusOr<std::unique_ptr<ports::ByteStream>> OpenOwn(const UsbBusDevice& device,
                                                             const UsbSerialPort& port) const;

  const UsbDrivers drivers_;
  const UsbPortPlace place_;
  const std::string address_;
  const UsbBus bus_;
  base::Clock& clock_;
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_USB_PORT_OPENER_H_
