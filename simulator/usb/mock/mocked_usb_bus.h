#ifndef KILN_SIMULATOR_USB_MOCK_MOCKED_USB_BUS_H_
#define KILN_SIMULATOR_USB_MOCK_MOCKED_USB_BUS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "simulator/usb/mock/mocked_attachment.h"
#include "simulator/usb/mock/mocked_hubs.h"
#include "simulator/usb/mock/mocked_sysfs.h"
#include "simulator/usb/mock/mocked_testbed.h"
#include "simulator/usb/mock/usbfs_node.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

struct MockedDeviceOptions {
  // The kernel's driver that is bound to the device when it arrives ("cp210x"); empty: none.
  std::string kernel_driver;
  // The terminal which that driver makes of the first interface while it is bound ("ttyUSB0"); in
  // sysfs and events only, there is no node. Empty: none.
  std::string tty;
  MockedDeviceFaults faults;
};

// A USB bus without a kernel: device models behind a mocked /sys, /dev/bus/usb and udev, so that
// the real libusb in the same process finds them, opens them and is told when they come and go. For
// tests, one at a time, in a program run under umockdev-wrapper. Real time only. Thread-safe.
//
// Places are named as sysfs names them, "1-2.3"; hubs between ("1-2") come by themselves and stay.
// Misuse (an occupied or empty place) aborts. What libusb has opened is to be closed before the bus
// goes.
class MockedUsbBus {
 public:
  MockedUsbBus();
  ~MockedUsbBus();
  MockedUsbBus(const MockedUsbBus&) = delete;
  MockedUsbBus& operator=(const MockedUsbBus&) = delete;

  // Plugs a device in: nodes and sysfs first, then the event. Power comes with it.
  void Plug(absl::string_view place, std::unique_ptr<UsbDeviceModel> model,
            MockedDeviceOptions options = {});
  // Pulls it; it may be plugged in again elsewhere.
  std::unique_ptr<UsbDeviceModel> Unplug(absl::string_view place);
  // Pulls its plug so that the hub does not notice: it stays on the bus, and every transfer with it
  // fails, until it is unplugged or leaves by itself.
  void CutOff(absl::string_view place);
  // Fails the transfers that are under way with the device, as noise on its cable does; it stays,
  // and the next ones succeed.
  void Disturb(absl::string_view place);
  // Plugs in again what a fault of its board has had pulled.
  void Replug(absl::string_view place);
  // Everything below the hub leaves the bus and comes back with new device numbers, as after a
  // disturbance at the hub: "1-2", or "usb1" for the whole bus. The boards run on.
  void ResetHub(absl::string_view hub);
  // A device leaves and returns with a new number; its board runs on.
  void Reenumerate(absl::string_view place);
  void SetFaults(absl::string_view place, const MockedDeviceFaults& faults);
  // Whether those who listen for events now are told of nothing any more, as in a container that
  // hears no udev. One that begins to listen later hears again.
  void LoseEvents(bool lose);

  // Calls `function` with the device at `place` while nothing else happens to it.
  void With(absl::string_view place, const std::function<void(UsbDeviceModel&)>& function);
  // How serial port `port` is set up now.
  SerialState State(absl::string_view place, size_t port = 0);
  // Waits at most 10 s until `condition` holds for the state of a serial port.
  bool AwaitState(absl::string_view place, const std::function<bool(const SerialState&)>& condition,
                  size_t port = 0);

  // Whether something is plugged in there (a board may have had itself pulled).
  bool Occupied(absl::string_view place);
  // Waits at most 30 s until it is so.
  bool AwaitOccupied(absl::string_view place, bool occupied);
  // Whether it shows itself on the bus, and under which number.
  std::optional<int> DeviceNumber(absl::string_view place);
  // Whether a program has claimed an interface, and whether the kernel's driver holds one.
  bool Claimed(absl::string_view place);
  // Waits at most 10 s until it is so. A program's closing takes a moment to be seen.
  bool AwaitClaimed(absl::string_view place, bool claimed);
  bool KernelDriverBound(absl::string_view place);
  // Of all devices there ever were.
  UsbfsStatistics statistics();

 private:
  // A place with a device plugged in.
  struct Slot {
    UsbTopology place;
    std::unique_ptr<UsbDeviceModel> model;
    MockedDeviceOptions options;
    std::unique_ptr<MockedAttachment> attachment;  // null while it is not on the bus
    uint64_t times_left = 0;                       // of the model, as far as it has been shown
    bool pull_requested = false;                   // by a fault of its board
    bool pulled = false;
    bool tty_shown = false;
  };

  void Attach(Slot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(plug_mutex_);
  void Detach(Slot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(plug_mutex_);
  void DropDeparted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(plug_mutex_);
  Slot& SlotAt(absl::string_view place) ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  // Moves what is due, on a thread of its own: adapters' timers, boards' words, and devices that
  // leave and return by themselves.
  void Run();
  // Whether what is on the bus is not what the model says.
  static bool Stale(const Slot& slot);
  static bool TtyWanted(const Slot& slot);
  void UpdateTty(Slot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(plug_mutex_);
  void RefreshStale();
  // Lets Run look again when `slot` has something for it.
  void Notice(Slot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Clock& clock_;

  // Held while the bus changes, also while umockdev is called, whose thread takes mutex_ to answer:
  // never with mutex_ held.
  absl::Mutex plug_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  MockedHubs hubs_ ABSL_GUARDED_BY(plug_mutex_);
  // Gone from the bus, but perhaps still open.
  std::vector<std::unique_ptr<MockedAttachment>> departed_ ABSL_GUARDED_BY(plug_mutex_);

  // Guards the models and nodes. Slots come and go with both mutexes held.
  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<Slot>, std::less<>> slots_ ABSL_GUARDED_BY(mutex_);
  UsbfsStatistics past_statistics_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;  // Run is to look anew
  absl::Duration wakes_at_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;

  // Last, so that it goes first: it tells its handlers of every client that it still has.
  MockedTestbed testbed_ ABSL_GUARDED_BY(plug_mutex_);
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_MOCKED_USB_BUS_H_
