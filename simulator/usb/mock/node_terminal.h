#ifndef KILN_SIMULATOR_USB_MOCK_NODE_TERMINAL_H_
#define KILN_SIMULATOR_USB_MOCK_NODE_TERMINAL_H_

#include <string>

#include "base/unique_fd.h"

namespace kiln::simulator {

// The file behind a mocked usbfs node, chosen for what poll() says of it: usbfs is writable when a
// URB can be reaped, and in error once the device is gone. A pseudo-terminal can be both: with its
// output stopped it is not writable, and a hang-up is an error. Nobody reads or writes it.
class NodeTerminal {
 public:
  // Aborts when the system has no pseudo-terminal to give.
  NodeTerminal();

  // Where to link the node to.
  const std::string& path() const { return path_; }
  void SetWritable(bool writable);
  void HangUp();

 private:
  base::UniqueFd master_;
  base::UniqueFd slave_;
  std::string path_;
  bool writable_ = true;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_NODE_TERMINAL_H_
