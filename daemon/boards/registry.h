#ifndef KILN_DAEMON_BOARDS_REGISTRY_H_
#define KILN_DAEMON_BOARDS_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/boards/usb_facts.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::boards {

// Why the registry looked when it found a board.
enum class FoundBy {
  kScan,   // it looks every second, or somebody asked it to
  kEvent,  // the system said that something came
};

// A port and what is known of the board at it.
struct BoardInfo {
  std::string port;     // stable name: "usb-1-2.3", or as configured
  std::string alias;    // configured, may be empty
  std::string address;  // "/dev/ttyUSB0"
  std::string adapter;  // may be empty
  bool present = false;
  // Grows by one with every arrival, so that a worker can tell "still there"
  // from "there again".
  uint64_t arrival = 0;
  absl::Time change_time = absl::InfinitePast();
  // Filled in by whoever identified the board; cleared when it leaves.
  std::string chip;
  std::string mac;
  uint32_t flash_size_bytes = 0;
  // Why a present board cannot be used; OK when it can.
  absl::Status usable;
  // Of boards on the USB bus; kept for the port when the board leaves.
  std::optional<UsbFacts> usb;
  // How the present board, or else the last one, was found.
  FoundBy found_by = FoundBy::kScan;
};

// Who is plugged in, and how to reach it. One for the station, made by main; a
// thread of its own looks for changes. Thread-safe. Every look is a complete one:
// an event that is lost costs at most the second until the next.
class Registry {
 public:
  virtual ~Registry() = default;

  // All known ports, present or not, sorted by name.
  virtual std::vector<BoardInfo> List() const = 0;
  // By name or alias; PortNotFound.
  virtual absl::StatusOr<BoardInfo> Get(const std::string& port_or_alias) const = 0;
  // The opener of a port; PortNotFound. Stays valid as long as the registry.
  virtual absl::StatusOr<ports::StreamOpener*> OpenerOf(const std::string& port) = 0;
  // Remembers what the loader said of the board at `port`, if it is still
  // arrival `arrival`.
  virtual void SetFacts(const std::string& port, uint64_t arrival, const std::string& chip,
                        const std::string& mac, uint32_t flash_size_bytes) = 0;
  // `observer` gets each change, on the registry's thread, without its lock
  // held. Set before Start.
  virtual void SetObserver(std::function<void(const BoardInfo&)> observer) = 0;
  // Starts and stops looking.
  virtual absl::Status Start() = 0;
  virtual void Stop() = 0;
  // Looks at once, on the calling thread, and tells the observer of what
  // changed before it returns: for whoever has just learnt that a board left,
  // and for tests. Neither from the observer nor with a lock held that the
  // observer takes.
  virtual void ScanNow() {}
  // Something may have changed on the bus: the registry's thread looks at once, and twice more
  // within a second, for what follows an arrival (the kernel's terminal, permissions). Wakes that
  // come while it looks or shortly after are answered together. Returns at once; from any thread.
  virtual void Wake() {}
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_REGISTRY_H_
