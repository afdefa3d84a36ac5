#ifndef KILN_DAEMON_PIPELINE_CREATE_SCHEDULER_H_
#define KILN_DAEMON_PIPELINE_CREATE_SCHEDULER_H_

#include <functional>
#include <memory>
#include <string>

#include "daemon/pipeline/board_session.h"
#include "daemon/pipeline/scheduler.h"

namespace kiln::pipeline {

// Where tests reach into the pipeline.
struct SchedulerSeams {
  FlasherFactory make_flasher;
  // See PipelineShared::halt.
  std::function<bool(const std::string&)> halt;
};

std::unique_ptr<Scheduler> CreateScheduler(const PipelineParts& parts,
                                           const PipelineOptions& options,
                                           const SchedulerSeams& seams);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_CREATE_SCHEDULER_H_
