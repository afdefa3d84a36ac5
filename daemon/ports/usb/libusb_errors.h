#ifndef KILN_DAEMON_PORTS_USB_LIBUSB_ERRORS_H_
#define KILN_DAEMON_PORTS_USB_LIBUSB_ERRORS_H_

#include <libusb.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// The error for a libusb call on an open device that returned `error`: BoardUnplugged when the
// device is gone, otherwise PortFailed. `what` says what was tried.
absl::Status LibusbError(const std::string& what, int error);

// A word for a metric's label: "no_device".
absl::string_view LibusbErrorCode(int error);

// How a finished transfer ended, and the same as an error (LIBUSB_ERROR_NO_DEVICE).
UsbOutcome OutcomeOf(libusb_transfer_status status);
int ErrorOf(libusb_transfer_status status);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_LIBUSB_ERRORS_H_
