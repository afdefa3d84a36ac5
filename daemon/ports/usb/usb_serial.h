#ifndef KILN_DAEMON_PORTS_USB_USB_SERIAL_H_
#define KILN_DAEMON_PORTS_USB_USB_SERIAL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_context.h"

namespace kiln::ports {

// A place on the bus and what is plugged in there, as the scan of sysfs found it.
struct UsbPlace {
  uint8_t bus = 0;
  std::vector<uint8_t> hub_ports;  // from the root hub on; never empty: "1-2.3" is {2, 3}
  uint8_t device_number = 0;       // of this plugging-in; 1 to 127
  uint8_t serial_port = 0;         // which terminal of a multi-port adapter, from 0
  uint16_t vendor = 0;
  uint16_t product = 0;
};

// Opens one adapter with Kiln's own driver: finds the device by its place, takes it from the
// kernel's driver (and gives it back on closing), claims it, sets it up at 115200 8N1. What right
// after arrival is not there yet (node, permission, claim) is tried again for up to 2 s. Errors as
// StreamOpener::Open. The device number in `place` may be another by then: what counts is the place
// and the kind of device. An interface is locked (usb_node_lock.h) against other
// stations, also in other containers and through the kernel's terminal. A process that is killed
// lets go of everything but gives nothing back: the kernel's terminal comes again with the next
// orderly close, or with a replug. `context` and `clock` must outlive the opener and its streams;
// `adapter` is of the table and not kKernelOnly. `sysfs_root` is "/sys", except in tests.
// Thread-safe.
std::unique_ptr<StreamOpener> MakeUsbSerialOpener(UsbContext& context, base::Clock& clock,
                                                  const UsbPlace& place, const UsbAdapter& adapter,
                                                  const std::string& sysfs_root = "/sys");

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_SERIAL_H_
