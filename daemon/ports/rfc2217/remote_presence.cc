#include "daemon/ports/rfc2217/remote_presence.h"

#include <poll.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "daemon/ports/tcp_connect.h"

namespace kiln::ports {
namespace {

// How long a trial connection may take before the next is tried.
constexpr absl::Duration kTrialTimeout = absl::Seconds(5);
// How long the opener may take to come for a connection that was made: a
// deployment that waits for the board does so at once.
constexpr absl::Duration kKeepConnection = absl::Seconds(3);
// Nothing can be tried before the name was once looked up, which may block and
// so is the opener's to do; it is called back after this long.
constexpr absl::Duration kUnknownPause = absl::Seconds(5);

}  // namespace

void RemotePresence::Found(std::vector<TcpEndpoint> endpoints) {
  absl::MutexLock lock(&mutex_);
  if (!endpoints.empty()) endpoints_ = std::move(endpoints);
  if (lost_) CameBack();
  connection_.Reset();
}

void RemotePresence::Lost() {
  absl::MutexLock lock(&mutex_);
  lost_ = true;
  since_ = clock_.Monotonic();
  connection_.Reset();
}

bool RemotePresence::Look() {
  absl::MutexLock lock(&mutex_);
  if (lost_) {
    Probe();
  } else if (connection_.valid() && clock_.Monotonic() - since_ > kKeepConnection) {
    connection_.Reset();
  }
  return !lost_;
}

std::string RemotePresence::Instance() const {
  absl::MutexLock lock(&mutex_);
  return absl::StrCat(instance_);
}

base::UniqueFd RemotePresence::TakeConnection() {
  absl::MutexLock lock(&mutex_);
  return lost_ ? base::UniqueFd() : std::move(connection_);
}

void RemotePresence::Probe() {
  const absl::Duration now = clock_.Monotonic();
  if (endpoints_.empty()) {
    if (now - since_ >= kUnknownPause) CameBack();
    return;
  }
  int error = EINPROGRESS;
  if (!connection_.valid() || now - since_ > kTrialTimeout) {
    error = StartTcp(endpoints_[next_endpoint_++ % endpoints_.size()], connection_);
    since_ = now;
  }
  if (error == EINPROGRESS) {
    pollfd ready = {.fd = connection_.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 0) <= 0) return;
    error = FinishTcp(connection_.get());
  }
  if (error == 0) error = PrepareTcp(connection_.get());
  if (error == 0) {
    CameBack();
  } else {
    connection_.Reset();
  }
}

void RemotePresence::CameBack() {
  lost_ = false;
  ++instance_;
  since_ = clock_.Monotonic();
}

}  // namespace kiln::ports
