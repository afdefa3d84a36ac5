#ifndef KILN_DAEMON_BOARDS_USB_SCAN_H_
#define KILN_DAEMON_BOARDS_USB_SCAN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/usb_driver_choice.h"
#include "daemon/boards/usb_port_opener.h"

namespace kiln::boards {

// "10c4:ea60".
struct UsbId {
  uint16_t vendor = 0;
  uint16_t product = 0;
};
// InvalidArgument for anything but four hexadecimal digits, a colon and four more.
absl::StatusOr<UsbId> ParseUsbId(absl::string_view text);

// Whether `name` is `pattern`, in which '*' stands for any characters: "usb-1-2.*".
bool MatchesPortPattern(absl::string_view pattern, absl::string_view name);

// What the configuration says of the bus: [usb], and usb_driver of each [[port]].
struct UsbScanOptions {
  UsbDriverSetting driver = UsbDriverSetting::kAuto;
  std::map<std::string, UsbDriverSetting> port_drivers;  // by port name
  // Empty: all ports, all adapters of the table. What is denied stays denied.
  std::vector<std::string> allow_ports;
  std::vector<std::string> deny_ports;
  std::vector<UsbId> allow_ids;
  std::vector<UsbId> deny_ids;
};

// The source of the boards on the USB bus: every serial port of every adapter of the table
// (ports/usb/adapters.h), named by its place: "usb-1-2.3", further ports of one adapter by their
// interface, "usb-1-2.3-if1". Looks at sysfs, at permissions and, every few seconds, at who has the
// boards open; opens no device, since opening moves the modem lines of whatever is plugged in.
// Foreign devices, hubs and denied ones are passed over. `clock` must outlive the source and its
// openers.
std::unique_ptr<PortSource> MakeUsbScan(UsbScanOptions options, UsbDrivers drivers,
                                        base::Clock& clock);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_USB_SCAN_H_
