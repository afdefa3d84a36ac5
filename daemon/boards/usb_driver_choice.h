#ifndef KILN_DAEMON_BOARDS_USB_DRIVER_CHOICE_H_
#define KILN_DAEMON_BOARDS_USB_DRIVER_CHOICE_H_

#include <string>

#include "absl/status/status.h"

namespace kiln::boards {

// What the configuration says of a USB port: usb_driver = "auto", "user" or "kernel".
enum class UsbDriverSetting {
  kAuto,
  kUser,    // Kiln's own driver
  kKernel,  // the kernel's terminal
};

// What is known when the choice is made.
struct UsbDriverSituation {
  UsbDriverSetting setting = UsbDriverSetting::kAuto;
  // Kiln has a driver for this adapter.
  bool own_driver = false;
  // It has measured better than the kernel's (ports::UsbAdapter::own_driver_better).
  bool own_driver_better = false;
  // libusb runs, so that own drivers can work at all; otherwise why not.
  absl::Status libusb;
  // The kernel's driver has made a terminal.
  bool kernel_terminal = false;
  // Its device file is there and may be opened: OK, NOT_FOUND or PortPermission.
  absl::Status terminal_access;
  // The same of the adapter's file in /dev/bus/usb, which an own driver needs.
  absl::Status bus_access;
  // The board has just arrived: the kernel may still be loading a driver, udev setting permissions.
  bool settling = false;
};

struct UsbDriverChoice {
  enum class Use {
    kTerminal,   // the kernel's
    kOwnDriver,  // Kiln's
    kWait,       // it shows within the settling time
    kNothing,    // `why` says what is missing
  };
  Use use = Use::kNothing;
  absl::Status why;    // OK unless kNothing; then PortPermission or PortFailed
  std::string reason;  // for people, of the two drivers
};

// Which driver serves a port, and why. The one place where this is decided:
//
//   kernel  the terminal, or nothing.
//   user    the own driver; where Kiln has none for the adapter, as "kernel".
//   auto    whichever measured better with this kind of adapter, if it can be used. Where nothing
//           speaks for the own driver, that is the terminal: it is there anyway, needs no
//           detaching, and a daemon that dies leaves nothing behind. The other one where the better
//           is not to be had: there is no terminal in containers and WSL, or it may not be opened.
//           Until the board has settled, a terminal that may yet come is waited for; one that the
//           kernel has made while its file is missing never comes (devtmpfs makes the file first),
//           so that containers need not wait.
//
// A terminal that another program holds is no reason for the own driver, which would tear it away.
UsbDriverChoice ChooseUsbDriver(const UsbDriverSituation& situation);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_USB_DRIVER_CHOICE_H_
