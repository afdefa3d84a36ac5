#ifndef KILN_SIMULATOR_USB_MOCK_MOCKED_ATTACHMENT_H_
#define KILN_SIMULATOR_USB_MOCK_MOCKED_ATTACHMENT_H_

#include <umockdev.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "simulator/usb/mock/usbfs_node.h"

namespace kiln::simulator {

// One enumeration of a mocked device: from its arrival under a number to its departure, and on
// until all who had it open have closed it. Brings umockdev's calls, which come on umockdev's
// thread, to its node. Owned by the bus.
class MockedAttachment {
 public:
  // `mutex`, the bus's, guards the node and its model, and must outlive the testbed. `on_ioctl` is
  // called with it held after each ioctl, until Disconnect.
  MockedAttachment(absl::Mutex& mutex, int bus, int number, std::unique_ptr<UsbfsNode> node,
                   std::function<void()> on_ioctl);
  // To be destroyed when nobody has it open, and its handler is attached no longer.
  ~MockedAttachment();
  MockedAttachment(const MockedAttachment&) = delete;
  MockedAttachment& operator=(const MockedAttachment&) = delete;

  int bus() const { return bus_; }
  int number() const { return number_; }
  // "/dev/bus/usb/001/002"
  const std::string& node_path() const { return node_path_; }
  UMockdevIoctlBase* handler() const { return handler_; }

  // These with the mutex held.
  UsbfsNode& node() const { return *node_; }
  // The device departs.
  void Disconnect();

 private:
  static gboolean OnIoctl(UMockdevIoctlBase*, UMockdevIoctlClient* client, gpointer attachment);
  static void OnClosed(gpointer attachment, GObject* client);

  absl::Mutex& mutex_;
  const int bus_;
  const int number_;
  const std::string node_path_;
  const std::unique_ptr<UsbfsNode> node_;
  std::function<void()> on_ioctl_;
  UMockdevIoctlBase* const handler_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_MOCKED_ATTACHMENT_H_
