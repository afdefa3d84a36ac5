#ifndef KILN_DAEMON_BOARDS_USB_ATTRIBUTES_H_
#define KILN_DAEMON_BOARDS_USB_ATTRIBUTES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace kiln::boards {

// The text of the attribute `name`, of any length and content; empty when there is none.
using AttributeReader = absl::FunctionRef<std::string(absl::string_view name)>;

// A place on the bus as sysfs names it: "1-2.3" is bus 1, then port 2 of the root hub, then port 3.
struct UsbTopology {
  uint8_t bus = 0;
  std::vector<uint8_t>
      hub_ports;             // one to six: the kernel's MAX_TOPO_LEVEL, drivers/usb/core/usb.h
  std::string name() const;  // "1-2.3"
  std::string hub() const;   // "1-2", or "usb1"
};

// One interface of a device.
struct UsbInterface {
  uint8_t number = 0;
  uint8_t class_code = 0;
  uint8_t subclass = 0;
  std::string driver;  // the kernel's driver that has it: "cp210x", "usbfs"; empty: none
  std::string tty;     // "ttyUSB0"; empty: none
};

// What a device says of itself, without what takes the device's lock in the kernel.
struct UsbAttributes {
  UsbTopology topology;
  uint8_t device_number = 0;  // 1 to 127
  uint16_t vendor = 0;
  uint16_t product = 0;
  double speed_mbit = 0;  // 0 when unknown
  int max_power_ma = 0;   // 0 when unknown
};

// The functions below take what the kernel, a container's fake of it or a device wrote: anything.
// Nothing for what is not well-formed.

// "1-2.3"; nothing for root hubs ("usb1"), interfaces ("1-2:1.0") and everything else.
std::optional<UsbTopology> ParseTopology(absl::string_view name);

// The device at `name`; `read` gives its attributes.
std::optional<UsbAttributes> ParseUsbDevice(absl::string_view name, AttributeReader read);

// An interface by its attributes; driver and tty stay empty.
std::optional<UsbInterface> ParseUsbInterface(AttributeReader read);

// bMaxPower of the first configuration in `descriptors` (device descriptor, then configurations),
// in mA: units of 8 mA at 5000 Mbit/s and more, else of 2 mA (USB 3.2, 9.6.3). 0 when it is not
// there.
int MaxPowerMilliamps(absl::string_view descriptors, double speed_mbit);

// 0 to `maximum` in decimal digits alone.
std::optional<uint32_t> ParseDecimal(absl::string_view text, uint32_t maximum);

// Whether `name` is one the kernel gives a USB terminal: "ttyUSB0", "ttyACM12".
bool IsUsbTtyName(absl::string_view name);

// `name` if it may be a driver's: at most 32 letters, digits, '-' and '_'; else empty.
std::string SafeDriverName(absl::string_view name);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_USB_ATTRIBUTES_H_
