#ifndef KILN_DAEMON_BOARDS_USB_FACTS_H_
#define KILN_DAEMON_BOARDS_USB_FACTS_H_

#include <cstdint>
#include <string>

namespace kiln::boards {

// What a person may want to know of a board's place on the USB bus.
struct UsbFacts {
  uint16_t vendor = 0;
  uint16_t product = 0;
  std::string topology;       // bus and hub ports: "1-2.3"
  std::string hub;            // what it is plugged into: "1-2", or "usb1" for the host's own port
  int hub_port = 0;           // of that hub, from 1
  int hub_ports = 0;          // how many the hub has; 0 when unknown
  int depth = 0;              // hubs between the host and the board
  double speed_mbit = 0;      // 1.5, 12, 480, 5000 …; 0 when unknown
  int max_power_ma = 0;       // what the board may draw by its descriptor; 0 when unknown
  bool power_switch = false;  // the kernel offers to switch this hub port off
  bool own_driver = false;    // Kiln's own serves it, else the kernel's terminal
  std::string kernel_driver;  // that has it now: "cp210x", "usbfs" for a program's own; empty: none
  std::string driver_reason;  // why this way, in words

  friend bool operator==(const UsbFacts&, const UsbFacts&) = default;
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_USB_FACTS_H_
