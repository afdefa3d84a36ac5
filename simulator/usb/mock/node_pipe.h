#ifndef KILN_SIMULATOR_USB_MOCK_NODE_PIPE_H_
#define KILN_SIMULATOR_USB_MOCK_NODE_PIPE_H_

#include <string>

#include "base/unique_fd.h"

namespace kiln::simulator {

// The file behind a mocked usbfs node, chosen for what poll() says of it: usbfs is writable when a
// URB can be reaped. A named pipe is when it is not full. Nobody reads or writes it. (A plain file
// is always writable, and libusb would never sleep; a link to a pseudo-terminal, which could be
// hung up as well, leads out of the testbed, and umockdev's realpath() destroys the heap over
// that.)
class NodePipe {
 public:
  // Makes the node. Aborts when that does not work.
  explicit NodePipe(const std::string& path);

  void SetWritable(bool writable);

 private:
  base::UniqueFd fd_;
  bool writable_ = true;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_NODE_PIPE_H_
