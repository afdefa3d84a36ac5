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
#include "simulator/usb/usb_device_model.h"
#include "simulator/usb/usb_transfer_queue.h"

namespace kiln::simulator {

// What a mocked device does to those who want it; may be changed while it is plugged in.
struct MockedDeviceFaults {
  // Opening the node fails with EACCES.
  bool permission_denied = false;
  // A program that is not under test holds all interfaces: claiming them fails with EBUSY.
  bool claimed_by_other = false;
  // For so long after arrival claiming fails with EINVAL, as on real kernels whose own work on a
  // new device is not finished.
  absl::Duration claim_race = absl::ZeroDuration();
};

struct UsbfsStatistics {
  uint64_t ioctls = 0;
  uint64_t useless_reaps = 0;  // with nothing to reap
};

// usbfs (Linux' drivers/usb/core/devio.c, as far as libusb uses it) of one device from its arrival
// to its departure: who has claimed what, and the URBs under way. Calls come from one thread at a
// time; the bus sees to that.
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
  const std::set<int>& interfaces() const { return interfaces_; }

  // The device's plug is out, and nobody has noticed: URBs and control requests end with EPROTO.
  void CutOff();
  // The device is gone: URBs end with ESHUTDOWN, everything else with ENODEV. The model is not
  // touched from here on.
  void Disconnect();

  // Lets the device do what is due; NextEvent says when again.
  void Advance();
  std::optional<absl::Duration> NextEvent() const;

  void SetFaults(const MockedDeviceFaults& faults) { faults_ = faults; }
  const MockedDeviceFaults& faults() const { return faults_; }
  // Whether any program under test has claimed an interface.
  bool claimed() const { return !claims_.empty(); }
  bool kernel_driver_bound() const { return !bound_.empty(); }
  const UsbfsStatistics& statistics() const { return statistics_; }

 private:
  struct Answer {
    long result = 0;
    int error = 0;
  };
  struct Urb {
    UMockdevIoctlClient* client;
    UMockdevIoctlData* urb;
    UMockdevIoctlData* buffer;  // null when it has none
  };

  static Answer Fail(int error) { return {-1, error}; }
  Answer Dispatch(UMockdevIoctlClient* client, unsigned long request, UMockdevIoctlData* argument);
  Answer GetDriver(UMockdevIoctlData* data) const;
  Answer ConnectOrDisconnect(UMockdevIoctlData* data);
  Answer DisconnectAndClaim(UMockdevIoctlClient* client, UMockdevIoctlData* data);
  Answer Claim(UMockdevIoctlClient* client, int interface);
  Answer Release(UMockdevIoctlClient* client, int interface);
  Answer SetConfiguration(int configuration);
  Answer Reset();
  Answer Control(UMockdevIoctlClient* client, UMockdevIoctlData* data);
  Answer Submit(UMockdevIoctlClient* client, UMockdevIoctlData* data);
  Answer Discard(UMockdevIoctlClient* client, unsigned long address);
  Answer Reap(UMockdevIoctlClient* client, UMockdevIoctlData* argument);

  // Whether a request or a transfer may use the interface; claims it when nobody has (as usbfs
  // does).
  Answer Use(UMockdevIoctlClient* client, int interface);
  bool HasInterface(int interface) const;
  std::optional<int> InterfaceOfEndpoint(uint8_t endpoint) const;
  // Makes what is complete reapable; returns what was no URB.
  std::optional<UsbCompletion> CollectCompleted();
  void Forget(Urb& urb);

  UsbDeviceModel& model_;
  base::Clock& clock_;
  const std::string kernel_driver_;
  const absl::Duration arrived_;
  MockedDeviceFaults faults_;
  NodePipe pipe_;
  UsbTransferQueue queue_;
  bool gone_ = false;
  std::set<int> interfaces_;
  std::map<uint8_t, int> interface_of_endpoint_;
  std::set<int> bound_;  // interfaces that the kernel's driver holds
  std::map<int, UMockdevIoctlClient*> claims_;
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
