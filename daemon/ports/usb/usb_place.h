#ifndef KILN_DAEMON_PORTS_USB_USB_PLACE_H_
#define KILN_DAEMON_PORTS_USB_USB_PLACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_serial.h"

namespace kiln::ports {

// The kernel's name of a place: "1-2.3".
std::string UsbPlaceName(const UsbPlace& place);

// The device number now at `place`, when a device with its vendor and product is there.
std::optional<uint8_t> UsbDeviceNumberAt(const UsbPlace& place, const std::string& sysfs_root);

struct PluggedUsbDevice {
  uint16_t release = 0;            // bcdDevice
  UsbConfiguration configuration;  // the active one
};
// What sysfs holds of the device's descriptors. INVALID_ARGUMENT, NOT_FOUND.
absl::StatusOr<PluggedUsbDevice> ReadUsbDevice(const UsbPlace& place,
                                               const std::string& sysfs_root);

// The terminals the kernel's drivers have made of an interface: "/dev/ttyUSB0".
std::vector<std::string> UsbTerminalsOf(const UsbPlace& place, uint8_t configuration,
                                        uint8_t interface, const std::string& sysfs_root);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_PLACE_H_
