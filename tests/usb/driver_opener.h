#ifndef KILN_TESTS_USB_DRIVER_OPENER_H_
#define KILN_TESTS_USB_DRIVER_OPENER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/usb_context.h"

namespace kiln {

// The opener of one adapter of this machine's by the driver that `port` asks for: of a path
// ("/dev/ttyUSB0") the kernel's; of a place on the bus, as sysfs names it ("1-2.3"), Kiln's own,
// for the adapter's first serial port. For that, `context` is made, and must outlive the opener.
// NOT_FOUND when no adapter is there that Kiln has a driver for.
absl::StatusOr<std::unique_ptr<ports::StreamOpener>> OpenerOf(
    const std::string& port, std::unique_ptr<ports::UsbContext>& context);

}  // namespace kiln

#endif  // KILN_TESTS_USB_DRIVER_OPENER_H_
