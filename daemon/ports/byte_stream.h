#ifndef KILN_DAEMON_PORTS_BYTE_STREAM_H_
#define KILN_DAEMON_PORTS_BYTE_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace kiln::ports {

// What stands between the station and the chip's UART; decides the reset
// sequence and block sizes.
enum class LinkKind {
  kUartBridge,      // CP210x, CH34x, FTDI …: DTR and RTS reach EN and IO0 through
                    // the auto-reset circuit
  kUsbSerialJtag,   // Espressif's USB-Serial/JTAG peripheral (303a:1001)
  kUsbOtg,          // the chip's own CDC-ACM by USB-OTG (S2, S3, P4)
  kPseudoTerminal,  // a simulated board; the lines travel on a control socket
                    // beside the terminal
  kSocket,          // raw TCP, as emulators offer: bytes only
  kRemoteSerial,    // a port of another computer by RFC 2217: what is behind it is not known, and
                    // the lines change one after the other
};

struct LinkTraits {
  LinkKind kind = LinkKind::kUartBridge;
  bool has_modem_lines = false;  // SetLines works
  bool has_baud_rate = false;    // SetBaudRate changes something
  // How long a request to the port and its answer travel, as it was measured on opening; zero for
  // ports of this computer. Every wait for the board takes at least that much longer.
  absl::Duration round_trip = absl::ZeroDuration();
};

// An open, exclusively held way to exchange bytes with a board. Owned by the
// worker of its port and used by that one thread; only `Interrupt` may be
// called from others. Errors are typed (errors/error.h): BoardUnplugged once
// the far end is gone (every later call answers the same), PortFailed for
// anything else the system reports, DEADLINE_EXCEEDED (untyped) when a timeout
// ends, CANCELLED when interrupted.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  virtual LinkTraits traits() const = 0;

  // Waits until at least one byte is there, then takes what there is, at most
  // `buffer.size()`. Returns the number of bytes, at least 1. A timeout of zero
  // only looks.
  virtual absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) = 0;

  // Hands all of `bytes` to the system, waiting at most `timeout` for room.
  // They may still be on the wire when it returns; see Drain.
  virtual absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) = 0;

  // Waits until everything written has left the adapter's driver.
  virtual absl::Status Drain(absl::Duration timeout) = 0;

  // Throws away what has arrived and was not read.
  virtual absl::Status DiscardInput() = 0;

  // 8N1 at `baud` bits per second; any rate the adapter can make (110 to 12 000
  // 000).
  virtual absl::Status SetBaudRate(uint32_t baud) = 0;

  // Sets both modem lines in one operation. True asserts the line (electrically
  // low).
  virtual absl::Status SetLines(bool dtr, bool rts) = 0;

  // Makes a blocked or the next Read, Write or Drain return CANCELLED, once.
  // From any thread.
  virtual void Interrupt() = 0;
};

// Opens the port anew each time it is asked: after a replug, or for the next
// deployment.
class StreamOpener {
 public:
  virtual ~StreamOpener() = default;
  // Typed errors: BoardNotFound when nothing is there, PortBusy with the
  // holder's name when known, PortPermission, PortFailed.
  virtual absl::StatusOr<std::unique_ptr<ByteStream>> Open() = 0;
  // For people: "/dev/ttyUSB0", "socket://localhost:5555".
  virtual std::string address() const = 0;
  // Whether something is there to open, as far as a look at the file system can
  // tell: no device is opened or disturbed. A socket is always present.
  virtual bool Present() = 0;
  // Tells one plugging-in from the next where the system can: changes when what
  // is present was gone and came again between two looks. May be empty.
  virtual std::string Instance() { return ""; }
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_BYTE_STREAM_H_
