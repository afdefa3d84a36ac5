#ifndef KILN_DAEMON_BOARDS_USB_BUS_H_
#define KILN_DAEMON_BOARDS_USB_BUS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "daemon/boards/usb_attributes.h"
#include "daemon/ports/usb/adapters.h"

namespace kiln::boards {

// Where a board can be reached on one adapter: its `index`-th serial interface.
struct UsbSerialPort {
  uint8_t index = 0;             // among the adapter's serial ports, from 0
  uint8_t interface_number = 0;  // of the USB interface
  std::string driver;            // the kernel's driver that has the interface; may be empty
  std::string tty;               // "ttyUSB0"; may be empty
};

// An adapter of the table, as sysfs shows it now.
struct UsbBusDevice {
  std::string name;  // "1-2.3"
  UsbAttributes attributes;
  const ports::UsbAdapter* adapter = nullptr;  // never null
  std::vector<UsbSerialPort> serial_ports;     // never empty, by index
  // Differs for each plugging-in: device number and the inode of its folder in sysfs.
  std::string instance;
};

// Looks at the USB bus through sysfs, whose contents it takes for hostile: names and values are
// checked, reads and numbers of entries bounded. Reads no attribute that takes a device's lock in
// the kernel (product, bMaxPower, bConfigurationValue …), so that a board which hangs while the
// kernel sets it up delays the look at no other. Holds nothing but the path; thread-safe.
class UsbBus {
 public:
  // More entries than any real bus has; the rest is not looked at.
  static constexpr int kMaxEntries = 4096;

  // `sysfs_root` is "/sys", except in tests.
  explicit UsbBus(std::string sysfs_root) : sysfs_root_(std::move(sysfs_root)) {}

  // Whether the kernel has a USB bus at all.
  bool exists() const;
  // All adapters plugged in, sorted by name.
  std::vector<UsbBusDevice> Devices() const;
  // The one at `topology` ("1-2.3"), whatever it is now; nothing when none is, or a foreign device.
  std::optional<UsbBusDevice> DeviceAt(absl::string_view topology) const;
  // How many ports the hub "1-2" or "usb1" has; 0 when unknown.
  int HubPorts(const std::string& hub) const;

 private:
  std::string PathOf(absl::string_view name) const;

  const std::string sysfs_root_;
};

// The serial interfaces among `interfaces`: an adapter with CDC-ACM has one per control interface
// (class 02, subclass 02), any other one per vendor-specific interface. Never empty: an adapter
// that the kernel has not set up yet has its first one without interface. Public for tests.
std::vector<UsbSerialPort> SerialPortsOf(const ports::UsbAdapter& adapter,
                                         std::vector<UsbInterface> interfaces);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_USB_BUS_H_
