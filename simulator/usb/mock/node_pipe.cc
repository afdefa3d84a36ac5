#include "simulator/usb/mock/node_pipe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/base/internal/raw_logging.h"
#include "base/unique_fd.h"

namespace kiln::simulator {

NodePipe::NodePipe(const std::string& path) {
  ::unlink(path.c_str());
  ABSL_RAW_CHECK(::mkfifo(path.c_str(), 0666) == 0, "cannot make a node");
  fd_.Reset(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ABSL_RAW_CHECK(fd_.valid(), "cannot open a node");
  // The smallest there is: one page.
  ::fcntl(fd_.get(), F_SETPIPE_SZ, 1);
  SetWritable(false);
}

void NodePipe::SetWritable(bool writable) {
  if (writable == writable_) return;
  writable_ = writable;
  char page[4096] = {};
  if (writable) {
    while (::read(fd_.get(), page, sizeof(page)) > 0) {
    }
  } else {
    while (::write(fd_.get(), page, sizeof(page)) > 0) {
    }
  }
}

}  // namespace kiln::simulator
