#ifndef KILN_SIMULATOR_USB_MOCK_MOCKED_TESTBED_H_
#define KILN_SIMULATOR_USB_MOCK_MOCKED_TESTBED_H_

#include <umockdev.h>

#include <string>

#include "absl/strings/string_view.h"

namespace kiln::simulator {

// The folder in which umockdev plays /sys, /dev and udev to this process: devices are described
// into it, and those who listen for events are told. Knows nothing of what a device is.
// MockedUsbBus owns it and lets one thread change it at a time; umockdev's own thread calls the
// handlers that are attached. What umockdev refuses aborts.
class MockedTestbed {
 public:
  // Aborts outside umockdev-wrapper. From here on this thread, and those it starts, obey the modes
  // of files although they are root's.
  MockedTestbed();
  ~MockedTestbed();
  MockedTestbed(const MockedTestbed&) = delete;
  MockedTestbed& operator=(const MockedTestbed&) = delete;

  // Where the path "/dev/…" or "/sys/…" of the mocked system really is.
  std::string PathOf(absl::string_view path) const;

  // Adds each device of `description` (umockdev's text form), with its event.
  void Add(const std::string& description);
  // Removes the device at a path below /sys, with its event.
  void Remove(const std::string& devpath);
  // Makes an empty file "/dev/…", with its folders.
  void MakeNode(const std::string& path);
  // Lets everybody open a node, or nobody.
  void SetOpenable(const std::string& path, bool openable);
  // Has `handler` answer the ioctls on a node, until it is detached.
  void AttachIoctl(const std::string& path, UMockdevIoctlBase* handler);
  void DetachIoctl(const std::string& path);
  // Whether those who listen for events now are told of nothing any more. One that begins to listen
  // later hears again.
  void LoseEvents(bool lose);

 private:
  // Waits at most 30 s until every listener can be told of one more event: its socket holds few
  // (net.unix.max_dgram_qlen, 10 by default), and umockdev ends the program over a full one.
  void AwaitRoomForEvent() const;

  UMockdevTestbed* const testbed_;
  const std::string root_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_MOCKED_TESTBED_H_
