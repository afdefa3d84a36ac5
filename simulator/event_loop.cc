#include "simulator/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace kiln::simulator {

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

bool EventLoop::Watch(int fd, uint32_t events, Callback callback) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return false;
  callbacks_[fd] = std::make_shared<Callback>(std::move(callback));
  return true;
}

void EventLoop::Unwatch(int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  callbacks_.erase(fd);
}

absl::Status EventLoop::Run(const std::function<std::optional<absl::Duration>()>& step) {
  while (!stopped_) {
    const std::optional<absl::Duration> wait = step();
    if (stopped_) break;
    epoll_event events[32];
    timespec limit = {};
    if (wait.has_value()) limit = absl::ToTimespec(std::max(*wait, absl::ZeroDuration()));
    const int count =
        ::epoll_pwait2(epoll_.get(), events, 32, wait.has_value() ? &limit : nullptr, nullptr);
    if (count < 0 && errno != EINTR) {
      return absl::InternalError(absl::StrCat("epoll: ", std::strerror(errno)));
    }
    for (int i = 0; i < count; ++i) {
      const auto found = callbacks_.find(events[i].data.fd);
      if (found == callbacks_.end()) continue;
      const std::shared_ptr<Callback> callback = found->second;
      (*callback)(events[i].events);
    }
  }
  return absl::OkStatus();
}

}  // namespace kiln::simulator
