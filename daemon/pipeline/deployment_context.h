#ifndef KILN_DAEMON_PIPELINE_DEPLOYMENT_CONTEXT_H_
#define KILN_DAEMON_PIPELINE_DEPLOYMENT_CONTEXT_H_

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "daemon/esp/flasher.h"
#include "daemon/firmware/bundle.h"
#include "daemon/identity/board_report.h"
#include "daemon/pipeline/board_session.h"
#include "daemon/pipeline/details.pb.h"
#include "daemon/pipeline/image_cache.h"
#include "daemon/pipeline/journal.h"
#include "daemon/pipeline/progress.h"
#include "daemon/pipeline/scheduler.h"
#include "daemon/pipeline/watchdog.h"
#include "daemon/telemetry/logging.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

// What all workers share. Owned by the scheduler, outlives every run.
struct PipelineShared {
  PipelineParts parts;
  PipelineOptions options;
  FlasherFactory make_flasher;
  // Asked at every failpoint in tests: true means that the daemon is dead from here on, as after
  // kill -9, and nothing may be written any more. Empty otherwise.
  std::function<bool(const std::string&)> halt;
  Journal& journal;
  ImageCache& images;
  Watchdog& watchdog;
  records::RecordWriter& records;

  // Tells the crash tests that `point` is reached; true when the run has to vanish here.
  bool Failpoint(const std::string& point) const {
    if (options.failpoint) options.failpoint(point);
    return halt && halt(point);
  }
  void Log(bool problem, absl::string_view message, absl::string_view deployment,
           std::initializer_list<telemetry::LogField> fields = {}) const;
};

// Everything of one running deployment, passed from step to step. Made by the worker of the port
// for one run; used on its thread alone.
struct DeploymentContext {
  DeploymentContext(const PipelineShared& shared_parts, const storage::Deployment& stored,
                    const std::string& port_name, const base::Cancellation& stop_request);

  const PipelineShared& shared;
  const std::string port;
  // Somebody cancelled the deployment, or the station drains.
  const base::Cancellation& stop;
  storage::Deployment row;    // as last stored, plus what the running step has found out
  DeploymentDetails details;  // becomes row.details with each save
  ProgressTracker progress;
  BoardSession session;
  // The board may have been at the port when the daemon started, with what made it long over.
  bool there_since_before = false;

  // From prepare on.
  firmware::Bundle bundle;
  esp::FlashPlan images;  // the bundle's regions, shared with other ports
  // From flash on: `images` and the board's own identity.
  esp::FlashPlan plan;
  // Called once the board holds everything, verified. May be empty.
  std::function<void()> verified;
  // From boot on.
  std::unique_ptr<identity::BootWatcher> watcher;
  // The board is there, but only from connect on can it be told which it is or what it does: with
  // BoardUnplugged as the step's end, the runner begins there again without waiting.
  bool connect_again = false;
  // How often the board was found in its loader instead of its program.
  int loader_returns = 0;
  // Whether the board that is open came back under this board's MAC as its USB serial number.
  bool returned_by_name = false;
  // What is known of a board that left the bus, came back and started cleanly, but did not say
  // which it is. Connect looks at it once.
  enum class Starter { kNone, kAskedFor, kIdentified };
  Starter starter = Starter::kNone;
  // Identify found a finished product where the order is for any free board.
  bool give_back = false;
  // A test's crash has happened; nothing may be written any more.
  bool halted = false;

  base::Clock& clock() const { return *shared.parts.clock; }
  identity::Customer customer() const;
  // Stores the row with the present details and percentage.
  absl::Status Save();
  void Log(bool problem, absl::string_view message) const {
    shared.Log(problem, message, row.id, {{"port", port}});
  }
};

// Waits `duration` in small slices; CANCELLED as soon as `stop` is.
absl::Status WaitUnlessStopped(base::Clock& clock, const base::Cancellation& stop,
                               absl::Duration duration);

// The steps, in the files that carry their names. Each leaves its results in the context; what has
// to last is stored by the runner with the entry of the next step.
absl::Status RunPrepare(DeploymentContext& context);
absl::Status RunConnect(DeploymentContext& context);
absl::Status RunIdentify(DeploymentContext& context);
absl::Status RunFlash(DeploymentContext& context);
absl::Status RunVerify(DeploymentContext& context);
absl::Status RunBoot(DeploymentContext& context);
absl::Status RunConfirm(DeploymentContext& context);
absl::Status RunExport(DeploymentContext& context);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_DEPLOYMENT_CONTEXT_H_
