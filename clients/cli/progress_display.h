#ifndef KILN_CLIENTS_CLI_PROGRESS_DISPLAY_H_
#define KILN_CLIENTS_CLI_PROGRESS_DISPLAY_H_

#include <cstddef>
#include <map>
#include <ostream>
#include <string>

#include "clients/cli/progress_view.h"
#include "clients/cli/texts.h"

namespace kiln::cli {

// Draws a ProgressView: on a terminal the lines are redrawn in place, elsewhere a line is printed
// for each change of state or step. One owner, main thread.
class ProgressDisplay {
 public:
  ProgressDisplay(const Texts& texts, std::ostream& out, bool terminal);
  void Draw(const ProgressView& view);

 private:
  void DrawInPlace(const ProgressView& view);
  void PrintChanges(const ProgressView& view);

  const Texts& texts_;
  std::ostream& out_;
  const bool terminal_;
  size_t drawn_lines_ = 0;
  std::map<std::string, std::string> printed_;
};

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_PROGRESS_DISPLAY_H_
