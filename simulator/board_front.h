#ifndef KILN_SIMULATOR_BOARD_FRONT_H_
#define KILN_SIMULATOR_BOARD_FRONT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "simulator/simulated_board.h"

namespace kiln::simulator {

// A simulated board at a place where a host finds it: a pseudo-terminal, a USB bus. Owned by the
// server; its thread only.
class BoardFront {
 public:
  virtual ~BoardFront() = default;

  // Puts the board there and supplies it with power.
  virtual absl::Status Plug() = 0;
  // Takes it away again.
  virtual void Unplug() = 0;
  virtual bool plugged() const = 0;

  // Moves bytes that are due; answers when it wants to be called next.
  virtual std::optional<absl::Duration> Step() = 0;

  virtual SimulatedBoard& board() = 0;
  // Presses the board's reset button.
  virtual void PressReset() = 0;
  // Wall-clock time of the first byte from the host that opened the port last, or since the board
  // was plugged in where opening does not show; InfinitePast before.
  virtual absl::Time first_byte_time() const = 0;
  // Where the host finds it, for people: a path, or the name of a place on the bus.
  virtual std::string path() const = 0;
  // What the front knows beyond the board's own figures, as " key=value…"; may be empty.
  virtual std::string Statistics() const { return ""; }
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_BOARD_FRONT_H_
