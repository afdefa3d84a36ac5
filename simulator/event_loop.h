#ifndef KILN_SIMULATOR_EVENT_LOOP_H_
#define KILN_SIMULATOR_EVENT_LOOP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace kiln::simulator {

// Waits for file descriptors and for the next moment anything is due; one thread. Made and run by
// kiln-sim's main.
class EventLoop {
 public:
  // Called with the epoll events that have come.
  using Callback = std::function<void(uint32_t events)>;

  EventLoop();

  // `events` as epoll takes them. False when the kind of file cannot be waited for (a plain file).
  bool Watch(int fd, uint32_t events, Callback callback);
  void Unwatch(int fd);
  void Stop() { stopped_ = true; }
  // Until Stop: calls `step` before each wait, which answers how long the wait may last (nothing:
  // until a descriptor has news).
  absl::Status Run(const std::function<std::optional<absl::Duration>()>& step);

 private:
  base::UniqueFd epoll_;
  bool stopped_ = false;
  // Callbacks may unwatch themselves while they run.
  std::map<int, std::shared_ptr<Callback>> callbacks_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_EVENT_LOOP_H_
