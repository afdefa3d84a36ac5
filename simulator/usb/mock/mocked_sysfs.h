#ifndef KILN_SIMULATOR_USB_MOCK_MOCKED_SYSFS_H_
#define KILN_SIMULATOR_USB_MOCK_MOCKED_SYSFS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// A place on the bus as sysfs names it: "1-2.3" is port 3 of the hub at port 2 of bus 1. Aborts on
// anything that is no such name.
struct UsbTopology {
  explicit UsbTopology(absl::string_view name);

  std::string name;
  int bus = 0;
  std::vector<int> ports;

  // The hub it hangs at ("1-2"); empty when that is the root hub.
  std::string parent() const;
  // Below /sys, without it: "/devices/pci0000:00/0000:00:14.1/usb1/1-2/1-2.3".
  std::string devpath() const;
};
std::string RootHubDevpath(int bus);
// "/dev/bus/usb/001/002"
std::string UsbNodePath(int bus, int number);

// What sysfs and udev say of one device with its interfaces, in umockdev's format for
// umockdev_testbed_add_from_string. `driver` is bound to all interfaces; empty: none is.
std::string DescribeUsbDevice(const UsbTopology& place, int number, const UsbDeviceModel& model,
                              absl::string_view driver);
// The same of a hub, and of a bus's root hub.
std::string DescribeHub(const UsbTopology& place, int number);
std::string DescribeRootHub(int bus);

// The terminal `name` ("ttyUSB0", "ttyACM0") that a driver has made of `interface`.
std::string DescribeTty(const UsbTopology& place, int interface, absl::string_view name);
// What that made, the last first.
std::vector<std::string> TtyDevpaths(const UsbTopology& place, int interface,
                                     absl::string_view name);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_MOCKED_SYSFS_H_
