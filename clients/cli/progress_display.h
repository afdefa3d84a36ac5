#ifndef KILN_CLIENTS_CLI_PROGRESS_DISPLAY_H_
#define KILN_CLIENTS_CLI_PROGRESS_DISPLAY_H_

#include <cstddef>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "clients/cli/progress_view.h"
#include "clients/cli/texts.h"

namespace kiln::cli {

// Columns of the terminal; 80 where that is not known.
int ScreenColumns();

// Lines that are redrawn in place, at the bottom of a terminal. One owner, main thread.
class LiveLines {
 public:
  explicit LiveLines(std::ostream& out) : out_(out) {}
  // Instead of the lines drawn before.
  void Draw(const std::vector<std::string>& lines);

 private:
  std::ostream& out_;
  size_t drawn_ = 0;
};

// Draws a ProgressView: on a terminal the lines are redrawn in place, elsewhere a line is printed
// for each change of state or step. One owner, main thread.
class ProgressDisplay {
 public:
  ProgressDisplay(const Texts& texts, std::ostream& out, bool terminal);
  void Draw(const ProgressView& view);

 private:
  void PrintChanges(const ProgressView& view);

  const Texts& texts_;
  std::ostream& out_;
  const bool terminal_;
  LiveLines lines_;
  std::map<std::string, std::string> printed_;
};

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_PROGRESS_DISPLAY_H_
