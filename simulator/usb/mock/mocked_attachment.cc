#include "simulator/usb/mock/mocked_attachment.h"

#include <functional>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "simulator/usb/mock/mocked_sysfs.h"
#include "simulator/usb/mock/usbfs_node.h"

namespace kiln::simulator {

MockedAttachment::MockedAttachment(absl::Mutex& mutex, int bus, int number,
                                   std::unique_ptr<UsbfsNode> node, std::function<void()> on_ioctl)
    : mutex_(mutex),
      bus_(bus),
      number_(number),
      node_path_(UsbNodePath(bus, number)),
      node_(std::move(node)),
      on_ioctl_(std::move(on_ioctl)),
      handler_(umockdev_ioctl_base_new()) {
  g_signal_connect(handler_, "handle-ioctl", G_CALLBACK(OnIoctl), this);
}

MockedAttachment::~MockedAttachment() {
  g_signal_handlers_disconnect_by_data(handler_, this);
  g_object_unref(handler_);
}

void MockedAttachment::Disconnect() {
  node_->Disconnect();
  on_ioctl_ = nullptr;
}

gboolean MockedAttachment::OnIoctl(UMockdevIoctlBase*, UMockdevIoctlClient* client, gpointer data) {
  auto* const attachment = static_cast<MockedAttachment*>(data);
  absl::MutexLock lock(&attachment->mutex_);
  // umockdev 0.17 has a signal for a client that has gone, but does not send it. It drops the
  // object. (One whose opening was refused stays for ever, but says nothing.)
  if (attachment->node_->Greet(client)) g_object_weak_ref(G_OBJECT(client), OnClosed, attachment);
  attachment->node_->Handle(client);
  if (attachment->on_ioctl_) attachment->on_ioctl_();
  return TRUE;
}

void MockedAttachment::OnClosed(gpointer data, GObject* client) {
  auto* const attachment = static_cast<MockedAttachment*>(data);
  absl::MutexLock lock(&attachment->mutex_);
  attachment->node_->Vanished(reinterpret_cast<UMockdevIoctlClient*>(client));
}

}  // namespace kiln::simulator
