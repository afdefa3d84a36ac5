#include "simulator/usb/mock/mocked_hubs.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "simulator/usb/mock/mocked_sysfs.h"
#include "simulator/usb/mock/mocked_testbed.h"

namespace kiln::simulator {
namespace {

// Of a device on a bus (USB 2.0, 9.4.6); the root hub has the first.
constexpr int kRootHub = 1;
constexpr int kLastNumber = 127;

}  // namespace

void MockedHubs::AddFor(const UsbTopology& place, MockedTestbed& testbed) {
  if (hubs_.insert(absl::StrCat("usb", place.bus)).second) {
    last_number_[place.bus] = kRootHub;
    testbed.MakeNode(UsbNodePath(place.bus, kRootHub));
    testbed.Add(DescribeRootHub(place.bus));
  }
  const std::string parent = place.parent();
  if (parent.empty() || hubs_.count(parent) != 0) return;
  const UsbTopology hub(parent);
  AddFor(hub, testbed);
  hubs_.insert(parent);
  const int number = TakeNumber(place.bus);
  testbed.MakeNode(UsbNodePath(place.bus, number));
  testbed.Add(DescribeHub(hub, number));
}

int MockedHubs::TakeNumber(int bus) {
  int& number = last_number_[bus];
  do {
    number = number == kLastNumber ? kRootHub + 1 : number + 1;
  } while (!used_[bus].insert(number).second);
  return number;
}

void MockedHubs::FreeNumber(int bus, int number) { used_[bus].erase(number); }

}  // namespace kiln::simulator
