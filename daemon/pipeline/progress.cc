#include "daemon/pipeline/progress.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "daemon/pipeline/step.h"

namespace kiln::pipeline {

ProgressTracker::ProgressTracker(const std::string& deployment_id, int floor, base::Clock& clock,
                                 Sink sink)
    : name_(absl::StrCat("deployments/", deployment_id)),
      clock_(clock),
      sink_(std::move(sink)),
      percent_(std::clamp(floor, 0, 100)),
      stored_percent_(percent_) {}

void ProgressTracker::Enter(v1::Step step) {
  step_ = step;
  begin_known_ = false;
  percent_ = std::max(percent_, TraitsOf(step).progress_begin);
  Send(0, 0);
}

void ProgressTracker::Report(uint64_t done, uint64_t total) {
  if (!begin_known_) {
    begin_known_ = true;
    begin_done_ = done;
    begin_time_ = clock_.Monotonic();
  }
  done = std::min(done, total);
  const StepTraits& traits = TraitsOf(step_);
  if (total > 0) {
    const double share = static_cast<double>(done) / static_cast<double>(total);
    const int span = traits.progress_end - traits.progress_begin;
    percent_ = std::max(percent_, traits.progress_begin + static_cast<int>(share * span));
  }
  if (done < total && clock_.Monotonic() - last_sent_ < kLiveInterval) return;
  Send(done, total);
}

void ProgressTracker::Leave() { percent_ = std::max(percent_, TraitsOf(step_).progress_end); }

void ProgressTracker::Send(uint64_t done, uint64_t total) {
  last_sent_ = clock_.Monotonic();
  if (!sink_) return;
  v1::Progress message;
  message.set_deployment(name_);
  message.set_step(step_);
  message.set_progress_percent(percent_);
  message.set_done_bytes(done);
  message.set_total_bytes(total);
  const double seconds = begin_known_ ? absl::ToDoubleSeconds(last_sent_ - begin_time_) : 0;
  if (seconds > 0 && done > begin_done_) {
    message.set_bytes_per_second(
        static_cast<uint64_t>(static_cast<double>(done - begin_done_) / seconds));
  }
  sink_(message);
}

}  // namespace kiln::pipeline
