#ifndef KILN_SIMULATOR_USB_MOCK_USBFS_NODE_H_
#define KILN_SIMULATOR_USB_MOCK_USBFS_NODE_H_

#include <umockdev.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "simulator/usb/mock/node_pipe.h"
#include "simulator/usb/mock/usbfs_claims.h"
#include "simulator/usb/usb_device_model.h"
#include "simulator/usb/usb_transfer_queue.h"

namespace kiln::simulator {

struct UsbfsStatistics {
  uint64_t ioctls = 0;
  uint64_t useless_reaps = 0;  // with nothing to reap
};

// usbfs (Linux' drivers/usb/core/devio.c, as far as libusb uses it) of one device from its arrival
// to its departure: its interfaces (UsbfsClaims) and the URBs under way. Calls come from one thread
// at a time; the bus sees to that.
class UsbfsNode {
 public:
  // `path`: where the node is made. `kernel_driver`: the one that is bound to all interfaces;
  // empty: none. `model` must outlive the node or its Disconnect.
  UsbfsNode(const std::string& path, UsbDeviceModel& model, base::Clock& clock,
            const std::string& kernel_driver, const MockedDeviceFaults& faults);
  ~UsbfsNode();

  // True when `client`, an open descriptor, is a new one.
  bool Greet(UMockdevIoctlClient* client) { return clients_.insert(client).second; }
  // Answers one ioctl.
  void Handle(UMockdevIoctlClient* client);
  // The client has closed its descriptor.
  void Vanished(UMockdevIoctlClient* client);
  size_t clients() const { return clients_.size(); }
  const std::set<int>& interfaces() const { return claims_.interfaces(); }

  // The device's plug is out, and nobody has noticed: URBs and control requests end with EPROTO.
  void CutOff();
  // What is under way now ends with EPROTO, and nothing else happens.
  void Disturb();
  // The device is gone: URBs end with ESHUTDOWN, everything else with ENODEV. The model is not
  // touched from here on.
  void Disconnect();

  // Lets the device do what is due; NextEvent says when again.
  void Advance();
  std::optional<absl::Duration> NextEvent() const;

  void SetFaults(const MockedDeviceFaults& faults) { claims_.SetFaults(faults); }
  // Whether any program under test has claimed an interface.
  bool claimed() const { return claims_.claimed(); }
  bool kernel_driver_bound() const { return claims_.kernel_driver_bound(); }
  const UsbfsStatistics& statistics() const { return statistics_; }

 private:
  struct Urb {
    UMockdevIoctlClient* client;
    UMockdevIoctlData* urb;
    UMockdevIoctlData* buffer;  // null when it has none
  };

  using Answer = UsbfsAnswer;
  Answer Dispatch(UMockdevIoctlClient* client, unsigned long request, UMockdevIoctlData* argument);
  Answer Release(UMockdevIoctlClient* client, int interface);
  Answer SetConfiguration(int configuration);
  Answer Reset();
  Answer Control(UMockdevIoctlClient* client, UMockdevIoctlData* data);
  Answer Submit(UMockdevIoctlClient* client, UMockdevIoctlData* data);
  Answer Discard(UMockdevIoctlClient* client, unsigned long address);
  Answer Reap(UMockdevIoctlClient* client, UMockdevIoctlData* argument);

  // Makes what is complete reapable; returns what was no URB.
  std::optional<UsbCompletion> CollectCompleted();
  void Forget(Urb& urb);

  UsbDeviceModel& model_;
  base::Clock& clock_;
  UsbfsClaims claims_;
  NodePipe pipe_;
  UsbTransferQueue queue_;
  bool gone_ = false;
  std::set<UMockdevIoctlClient*> clients_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Urb> pending_;
  struct Reapable {
    Urb urb;
    UsbCompletion completion;
  };
  std::deque<Reapable> reapable_;
  UsbfsStatistics statistics_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_USBFS_NODE_H_
