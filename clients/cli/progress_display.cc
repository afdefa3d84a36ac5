#include "clients/cli/progress_display.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/session.h"

namespace kiln::cli {
namespace {

int ScreenColumns() {
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

ProgressDisplay::ProgressDisplay(const Texts& texts, std::ostream& out, bool terminal)
    : texts_(texts), out_(out), terminal_(terminal) {}

void ProgressDisplay::Draw(const ProgressView& view) {
  if (terminal_) {
    DrawInPlace(view);
  } else {
    PrintChanges(view);
  }
  out_.flush();
}

void ProgressDisplay::DrawInPlace(const ProgressView& view) {
  // ECMA-48: CUU moves up, EL clears to the end of the line.
  std::string screen;
  if (drawn_lines_ > 0) absl::StrAppend(&screen, "\x1b[", drawn_lines_, "A");
  const std::vector<std::string> lines = view.Render(texts_, ScreenColumns());
  for (const std::string& line : lines) absl::StrAppend(&screen, "\r", line, "\x1b[K\n");
  drawn_lines_ = lines.size();
  out_ << screen;
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
