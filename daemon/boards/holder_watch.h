#ifndef KILN_DAEMON_BOARDS_HOLDER_WATCH_H_
#define KILN_DAEMON_BOARDS_HOLDER_WATCH_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace kiln::boards {

// Knows which other programs have the station's boards open, by looking at all processes now and
// then: every 2 s in the first minute after a board came (that is when ModemManager and brltty
// come) and while somebody holds one, else every 10 s. A look costs about 10 ms of CPU on a PC.
// Owned by the USB source; used by one thread at a time.
class HolderWatch {
 public:
  // `clock` must outlive the watch.
  HolderWatch(std::string proc_root, base::Clock& clock)
      : proc_root_(std::move(proc_root)), clock_(clock) {}

  // Looks, if it is time to. `paths` are all files to be watched.
  void Look(std::vector<std::string> paths);

  // PortBusy, naming the program, when one had `path` open at the last look. `claimed`: a program
  // had claimed the adapter from the kernel, so that it is somebody's, if not this process's.
  // `still_claimed` looks again; it is asked before a board is called busy for that.
  absl::Status Check(const std::string& path, bool claimed,
                     absl::FunctionRef<bool()> still_claimed) const;

 private:
  const std::string proc_root_;
  base::Clock& clock_;
  std::set<std::string> paths_;
  std::map<std::string, std::string> holders_;  // by path
  absl::Duration next_look_ = -absl::InfiniteDuration();
  absl::Duration last_arrival_ = -absl::InfiniteDuration();
};

}  // namespace kiln::boards

#endif  // KILN_DAEMON_BOARDS_HOLDER_WATCH_H_
