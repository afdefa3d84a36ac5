#ifndef KILN_DAEMON_PORTS_ADDRESS_H_
#define KILN_DAEMON_PORTS_ADDRESS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::ports {

// An address as configuration files and commands write it:
//   /dev/ttyUSB0         a terminal of the kernel
//   pty:///PATH          a simulated board's pseudo-terminal
//   socket://host:port   raw TCP; an IPv6 address stands in brackets
//   rfc2217://host:port  a serial port that another computer lends by RFC 2217
struct Address {
  enum class Kind { kKernelTty, kPseudoTerminal, kSocket, kRfc2217 };
  Kind kind = Kind::kKernelTty;
  std::string path;   // absolute; kKernelTty and kPseudoTerminal
  std::string host;   // kSocket and kRfc2217, without brackets
  uint16_t port = 0;  // the same, 1 to 65535
};

// RequestInvalid, saying what is wrong.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// What opens the port at `address`. Opens and looks at nothing yet.
// RequestInvalid.
absl::StatusOr<std::unique_ptr<StreamOpener>> MakeOpener(absl::string_view address);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_ADDRESS_H_
