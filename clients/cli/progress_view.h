#ifndef KILN_CLIENTS_CLI_PROGRESS_VIEW_H_
#define KILN_CLIENTS_CLI_PROGRESS_VIEW_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "clients/cli/texts.h"
#include "kiln/v1/station.pb.h"

namespace kiln::cli {

// The deployments a person watches, as a pure reducer over what WatchEvents sends. Knows no
// terminal and no stream; `progress_display.h` draws it.
class ProgressView {
 public:
  // Watches `names` ("deployments/…"), or everything that is active when empty.
  explicit ProgressView(std::vector<std::string> names);

  // Takes one message; true when something that is shown changed.
  bool Apply(const v1::WatchEventsResponse& message);

  // Sequence number to resume after.
  int64_t last_sequence() const { return last_sequence_; }
  // Every watched deployment is known and ended. Watching everything: none is active.
  bool AllEnded() const;
  bool AllSucceeded() const;
  // In the order they were named, or of their creation.
  std::vector<const v1::Deployment*> deployments() const;

  // One line a deployment: port, customer, bar, percentage, step, rate. `columns` is the screen's
  // width.
  std::vector<std::string> Render(const Texts& texts, int columns) const;

 private:
  struct Live {
    v1::Step step = v1::STEP_UNSPECIFIED;
    int percent = 0;
    uint64_t bytes_per_second = 0;
  };

  bool Take(const v1::Deployment& deployment);
  std::string Line(const v1::Deployment& deployment, const Texts& texts, int columns) const;

  const std::vector<std::string> names_;
  const std::set<std::string> wanted_;
  std::vector<std::string> order_;
  std::map<std::string, v1::Deployment> deployments_;
  std::map<std::string, Live> live_;
  int64_t last_sequence_ = 0;
};

bool HasEnded(v1::Deployment::State state);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_PROGRESS_VIEW_H_
