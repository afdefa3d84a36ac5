#ifndef KILN_DAEMON_USB_SERIAL_NUMBER_H_
#define KILN_DAEMON_USB_SERIAL_NUMBER_H_

#include <string>

namespace kiln::daemon {

// The MAC that the USB device at `topology` ("1-2.3") shows as its serial number now, as
// esp::FormatMac writes it. Programs on a chip's own USB often do: with or without colons, in
// capitals or not. Empty when the serial number is something else, or nothing is there. The kernel
// has asked for it when the device came, so that nothing goes over the bus; but it waits for the
// device's lock, for seconds where a device hangs, so that no look at the whole bus may ask.
// `sysfs_root` is "/sys", except in tests. From any thread.
std::string MacOfUsbSerialNumber(const std::string& sysfs_root, const std::string& topology);

}  // namespace kiln::daemon

#endif  // KILN_DAEMON_USB_SERIAL_NUMBER_H_
