#ifndef KILN_DAEMON_BOARDS_PORT_SOURCE_H_
#define KILN_DAEMON_BOARDS_PORT_SOURCE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "daemon/boards/usb_facts.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::boards {

// One port as a source sees it at the moment of a scan.
struct FoundPort {
  std::string name;     // stable over replugs; never empty
  std::string alias;    // may be empty
  std::string address;  // "/dev/ttyUSB0"
  // What the address leads to in the end, "/dev/ttyUSB0" for a link in
  // /dev/serial: two ports with the same device are one. May be empty.
  std::string device;
  std::string adapter;  // for people; may be empty
  bool present = false;
  // Of an absent port whose board may come by USB: the path in /dev where it will show. Else empty.
  std::string awaited;
  // Differs from the last scan's when the board was gone and came again in
  // between. May be empty.
  std::string instance;
  // Why a present board cannot be used; OK when it can.
  absl::Status usable;
  // How to open it; null when the source only knows the name.
  std::shared_ptr<ports::StreamOpener> opener;
  // Of boards on the USB bus.
  std::optional<UsbFacts> usb;
};

// Somewhere ports come from: the configuration, the kernel's ttys, the USB bus.
// Owned by the registry and called by one thread at a time. Events (USB
// hotplug) only make the registry look earlier: Registry::Wake. No event is
// needed for the picture to become right, and none carries a part of it.
class PortSource {
 public:
  virtual ~PortSource() = default;
  // All ports known now. Ports that were found before and are missing now are
  // remembered by the registry as empty. Must not block: at most look at the
  // file system.
  virtual std::vector<FoundPort> Scan() = 0;
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_PORT_SOURCE_H_
