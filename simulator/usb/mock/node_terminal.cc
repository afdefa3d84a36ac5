#include "simulator/usb/mock/node_terminal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>

#include "absl/base/internal/raw_logging.h"
#include "base/unique_fd.h"

namespace kiln::simulator {

NodeTerminal::NodeTerminal() {
  master_.Reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[64];
  ABSL_RAW_CHECK(master_.valid() && ::grantpt(master_.get()) == 0 &&
                     ::unlockpt(master_.get()) == 0 &&
                     ::ptsname_r(master_.get(), name, sizeof(name)) == 0,
                 "no pseudo-terminal");
  path_ = name;
  slave_.Reset(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  ABSL_RAW_CHECK(slave_.valid(), "cannot open a pseudo-terminal");
  SetWritable(false);
}

void NodeTerminal::SetWritable(bool writable) {
  if (!slave_.valid() || writable == writable_) return;
  writable_ = writable;
  ::tcflow(slave_.get(), writable ? TCOON : TCOOFF);
}

void NodeTerminal::HangUp() {
  slave_.Reset();
  master_.Reset();
}

}  // namespace kiln::simulator
