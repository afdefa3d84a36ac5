#ifndef KILN_DAEMON_PIPELINE_JOB_H_
#define KILN_DAEMON_PIPELINE_JOB_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "base/cancellation.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// A deployment in the scheduler's hands, from its acceptance to the end of its run. Shared by the
// scheduler and the worker that runs it. Its fields belong to the scheduler's mutex while it is
// queued, and to its worker while it runs, except where said otherwise.
struct Job {
  // `drain` is the station's request to stop; not owned.
  Job(const std::string& deployment_id, const base::Cancellation* drain)
      : id(deployment_id), stop(drain) {}

  const std::string id;
  storage::Deployment row;
  // The port it has to run on; empty for the next free board.
  std::string port;
  // The chip its bundle is for, by name; empty when unknown.
  std::string chip;
  // A batch made it for the board that it saw at its port, and it has not begun: another order may
  // have been quicker, and what that made of the board is not written over.
  bool unused_boards_only = false;
  // Only the record is left: no board has to be there.
  bool needs_board = true;
  // Something is to be written to its board yet, or to be verified there.
  bool flashes = true;
  // Not to be given to a worker: its transaction, or its cancellation, is under way.
  bool held = true;
  // Its board may have been at the port when the daemon started. Set when it is given to a worker.
  bool there_since_before = false;
  // The last arrival at the port whose board the run has opened; 0 for none. Set by the worker.
  uint64_t seen_arrival = 0;
  // The run ended before it touched its board, which is not for it: the deployment waits again, as
  // its row says. Set by the worker.
  bool given_back = false;
  // Tells an operator's request from a drain. Set before `stop` is; from any thread.
  std::atomic<bool> cancelled_by_operator = false;
  base::Cancellation stop;
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_JOB_H_
