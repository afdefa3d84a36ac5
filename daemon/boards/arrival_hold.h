#ifndef KILN_DAEMON_BOARDS_ARRIVAL_HOLD_H_
#define KILN_DAEMON_BOARDS_ARRIVAL_HOLD_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "daemon/boards/port_source.h"

namespace kiln::boards {

// Keeps one board from being named twice. The bus shows a board before the kernel has made its
// terminal and udev the links to it. While a port that is configured by such a path is empty, a
// board that has just come may be the one it waits for: it is not told under its place's name until
// the path shows, or the board has settled. Owned by the registry; used by one thread at a time, a
// look after the other.
class ArrivalHold {
 public:
  // `clock` must outlive the hold.
  explicit ArrivalHold(base::Clock& clock) : clock_(clock) {}

  // A look begins, in which nothing is awaited yet.
  void BeginLook();
  // A configured port is empty and waits for its board at `path`.
  void Await(const std::string& path);
  // Whether `found`, a board on the bus that no earlier source has, is to be left out of this look.
  bool Holds(const FoundPort& found);
  // The board at this place has turned out to be a configured port's.
  void Forget(const std::string& name) { boards_.erase(name); }
  // Whether any board has been left out since the look began.
  bool holding() const { return holding_; }

 private:
  // A board that is on the bus under its place's name only.
  struct Board {
    std::string instance;
    absl::Duration since;  // on the clock's monotonic time, as the next
    absl::Duration last_seen;
    absl::Duration last_without_terminal;
    bool told = false;
    bool returned = false;  // one that had been told was here a moment ago
  };

  bool MayBeAwaited(const Board& board, absl::string_view device) const;

  base::Clock& clock_;
  absl::Duration now_;
  bool holding_ = false;
  std::vector<std::string> awaited_;
  std::map<std::string, Board> boards_;  // by the port's name
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_ARRIVAL_HOLD_H_
