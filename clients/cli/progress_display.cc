#include "clients/cli/progress_display.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/session.h"

namespace kiln::cli {

int ScreenColumns() {
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void LiveLines::Draw(const std::vector<std::string>& lines) {
  // ECMA-48: CUU moves up, EL clears to the end of the line, ED to the end of the screen.
  std::string screen;
  if (drawn_ > 0) absl::StrAppend(&screen, "\x1b[", drawn_, "A");
  for (const std::string& line : lines) absl::StrAppend(&screen, "\r", line, "\x1b[K\n");
  if (lines.size() < drawn_) screen += "\x1b[J";
  drawn_ = lines.size();
  out_ << screen;
}

ProgressDisplay::ProgressDisplay(const Texts& texts, std::ostream& out, bool terminal)
    : texts_(texts), out_(out), terminal_(terminal), lines_(out) {}

void ProgressDisplay::Draw(const ProgressView& view) {
  if (terminal_) {
    lines_.Draw(view.Render(texts_, ScreenColumns()));
  } else {
    PrintChanges(view);
  }
  out_.flush();
}

void ProgressDisplay::PrintChanges(const ProgressView& view) {
  for (const v1::Deployment* deployment : view.deployments()) {
    std::string line = absl::StrCat(IdOf(deployment->name()), "  ", texts_.Of(deployment->state()));
    if (deployment->state() == v1::Deployment::STATE_RUNNING) {
      absl::StrAppend(&line, "  ", texts_.Of(deployment->step()));
    }
    std::string& printed = printed_[deployment->name()];
    if (printed == line) continue;
    printed = line;
    out_ << line << "\n";
  }
}

}  // namespace kiln::cli
