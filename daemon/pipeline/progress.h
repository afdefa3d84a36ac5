#ifndef KILN_DAEMON_PIPELINE_PROGRESS_H_
#define KILN_DAEMON_PIPELINE_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "kiln/v1/station.pb.h"

namespace kiln::pipeline {

// Turns what the steps report into the deployment's percentage: weighted by the step table, never
// going back within an attempt, and not more often than anybody can read. Owned by one deployment's
// run and used by its worker thread alone.
class ProgressTracker {
 public:
  // Live reports are at least this far apart, except for the first and last of a step.
  static constexpr absl::Duration kLiveInterval = absl::Milliseconds(100);
  // A percentage worth an event of its own is this much above the last one that was stored.
  static constexpr int kDurableStep = 10;

  using Sink = std::function<void(const v1::Progress&)>;

  // `floor`: the percentage the ledger holds for this attempt. `sink` may be empty.
  ProgressTracker(const std::string& deployment_id, int floor, base::Clock& clock, Sink sink);

  // A step begins, or begins again.
  void Enter(v1::Step step);
  // Within the step: `done` of `total` bytes.
  void Report(uint64_t done, uint64_t total);
  // The step has finished.
  void Leave();

  int percent() const { return percent_; }
  // Whether the percentage is due to be stored; Stored() once it is.
  bool durable_due() const { return percent_ >= stored_percent_ + kDurableStep; }
  void Stored() { stored_percent_ = percent_; }

 private:
  void Send(uint64_t done, uint64_t total);

  const std::string name_;
  base::Clock& clock_;
  const Sink sink_;
  v1::Step step_ = v1::STEP_UNSPECIFIED;
  int percent_;
  int stored_percent_;
  uint64_t begin_done_ = 0;
  bool begin_known_ = false;
  absl::Duration begin_time_;
  absl::Duration last_sent_ = -absl::InfiniteDuration();
};

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_PROGRESS_H_
