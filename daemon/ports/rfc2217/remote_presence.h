#ifndef KILN_DAEMON_PORTS_RFC2217_REMOTE_PRESENCE_H_
#define KILN_DAEMON_PORTS_RFC2217_REMOTE_PRESENCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "daemon/ports/host_lookup.h"

namespace kiln::ports {

// Whether the server of a remote port is there, as far as can be told without
// waiting. It counts as present until a connection breaks or cannot be made;
// from then on each look carries a trial connection forward, and the first that
// succeeds is a new plugging-in. That connection is kept for a moment, for the
// opener to use: a server that serves one client need not take two. Shared by
// an opener and its streams. Thread-safe.
class RemotePresence {
 public:
  explicit RemotePresence(base::Clock& clock) : clock_(clock) {}

  // A connection works; where it was made to.
  void Found(std::vector<TcpEndpoint> endpoints);
  // A connection broke, or none could be made.
  void Lost();
  // Never blocks.
  bool Look();
  // Differs after each time it was lost and found again.
  std::string Instance() const;
  // The connection of the last look, if it is still kept; otherwise invalid.
  base::UniqueFd TakeConnection();

 private:
  void Probe() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CameBack() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Clock& clock_;
  mutable absl::Mutex mutex_;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t instance_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<TcpEndpoint> endpoints_ ABSL_GUARDED_BY(mutex_);
  size_t next_endpoint_ ABSL_GUARDED_BY(mutex_) = 0;
  // A connection in the making while lost, a finished one afterwards.
  base::UniqueFd connection_ ABSL_GUARDED_BY(mutex_);
  absl::Duration since_ ABSL_GUARDED_BY(mutex_);  // when it was lost, begun or finished
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_RFC2217_REMOTE_PRESENCE_H_
