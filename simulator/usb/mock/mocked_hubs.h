#ifndef KILN_SIMULATOR_USB_MOCK_MOCKED_HUBS_H_
#define KILN_SIMULATOR_USB_MOCK_MOCKED_HUBS_H_

#include <map>
#include <set>
#include <string>

#include "simulator/usb/mock/mocked_sysfs.h"
#include "simulator/usb/mock/mocked_testbed.h"

namespace kiln::simulator {

// The buses with their hubs, which come by themselves and stay, and the device numbers in use on
// them. Owned by the mocked bus, which lets one thread in at a time.
class MockedHubs {
 public:
  // Adds the bus of `place` and the hubs that lead there, as far as they are not there yet.
  void AddFor(const UsbTopology& place, MockedTestbed& testbed);

  // The next number on a bus, as Linux gives them: upwards, then from the beginning again.
  int TakeNumber(int bus);
  void FreeNumber(int bus, int number);

 private:
  std::set<std::string> hubs_;  // their places; root hubs are "usb1"
  std::map<int, int> last_number_;
  std::map<int, std::set<int>> used_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_MOCKED_HUBS_H_
