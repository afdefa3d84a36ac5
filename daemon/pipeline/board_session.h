#ifndef KILN_DAEMON_PIPELINE_BOARD_SESSION_H_
#define KILN_DAEMON_PIPELINE_BOARD_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "daemon/esp/flasher.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::pipeline {

// How the worker gets its loader; esp::Flasher::Create outside of tests.
using FlasherFactory = std::function<std::unique_ptr<esp::Flasher>(
    ports::ByteStream&, base::Clock&, const base::Cancellation&, const esp::FlasherOptions&)>;

// The conversation with the board at a port, from opening it until it is let go: the stream, the
// loader on it, and the means to interrupt both. Owned by the run of one deployment and used by its
// worker; Interrupt may come from any thread.
class BoardSession {
 public:
  BoardSession(base::Clock& clock, const FlasherFactory& make_flasher,
               const esp::FlasherOptions& options)
      : clock_(clock), make_flasher_(make_flasher), options_(options) {}
  BoardSession(const BoardSession&) = delete;
  BoardSession& operator=(const BoardSession&) = delete;

  // Closes what was open and opens the port anew. `stop` (not owned) ends the session's work at its
  // next safe point. Errors are those of StreamOpener.
  absl::Status Open(ports::StreamOpener& opener, uint64_t arrival, const base::Cancellation& stop);
  void Close();

  bool is_open() const { return flasher_ != nullptr; }
  // Only while open.
  esp::Flasher& flasher() { return *flasher_; }
  ports::ByteStream& stream() { return *stream_used_; }
  // Which arrival of a board at the port this is; see boards::BoardInfo.
  uint64_t arrival() const { return arrival_; }

  // Gives up whatever waits now, and everything after it in this session.
  void Interrupt();
  // Whether that has happened since it was opened: what the session says now means nothing.
  bool interrupted() const {
    absl::MutexLock lock(&mutex_);
    return interrupted_;
  }
  // Leaves the loader so that the board runs what is in its flash, with a loader of its own because
  // the session's may have been interrupted. For the end of a deployment that goes no further;
  // whether it works is not known.
  void ResetBoard();

 private:
  base::Clock& clock_;
  const FlasherFactory& make_flasher_;
  const esp::FlasherOptions options_;

  mutable absl::Mutex mutex_;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<ports::ByteStream> stream_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<base::Cancellation> cancellation_ ABSL_GUARDED_BY(mutex_);

  // The worker's own.
  std::shared_ptr<ports::ByteStream> stream_used_;
  std::shared_ptr<base::Cancellation> cancellation_used_;
  std::unique_ptr<esp::Flasher> flasher_;
  uint64_t arrival_ = 0;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_BOARD_SESSION_H_
