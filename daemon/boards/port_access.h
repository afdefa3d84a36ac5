#ifndef KILN_DAEMON_BOARDS_PORT_ACCESS_H_
#define KILN_DAEMON_BOARDS_PORT_ACCESS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kiln::boards {

// Whether this process may read and write the device at `path`, without opening
// it: PortPermission when not. OK for an empty path, and for one that is gone.
absl::Status CheckAccess(const std::string& path);

// The words of `why`, and of PortPermission the udev rule that is missing for the USB device as
// well.
absl::Status WithUdevRule(const absl::Status& why, uint16_t vendor, uint16_t product);

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_PORT_ACCESS_H_
