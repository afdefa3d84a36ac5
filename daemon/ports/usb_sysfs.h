#ifndef KILN_DAEMON_PORTS_USB_SYSFS_H_
#define KILN_DAEMON_PORTS_USB_SYSFS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace kiln::ports {

// Espressif's USB vendor id; product 1001 is the USB-Serial/JTAG peripheral,
// other products are USB-OTG (reference: esptool's documentation, "USB
// Serial/JTAG").
inline constexpr uint16_t kEspressifVendor = 0x303a;
inline constexpr uint16_t kUsbSerialJtagProduct = 0x1001;

// The USB device behind a terminal, as the kernel's sysfs tells it.
struct UsbDevice {
  uint16_t vendor = 0;
  uint16_t product = 0;
  std::string topology;  // bus and hub ports: "1-2.3"
  uint8_t interface_number = 0;
  // Its node is in /dev/bus/usb under these two; 0: sysfs does not tell.
  uint8_t bus = 0;
  uint8_t device_number = 0;
  std::string manufacturer;  // the device's own words, printable and at most
  std::string description;   // 126 bytes; may be empty
};

// The device behind /dev/`tty_name` ("ttyUSB0"); nothing when it is no USB
// device. `sysfs_root` is "/sys", except in tests.
std::optional<UsbDevice> UsbDeviceOfTty(const std::string& tty_name,
                                        const std::string& sysfs_root = "/sys");

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_SYSFS_H_
