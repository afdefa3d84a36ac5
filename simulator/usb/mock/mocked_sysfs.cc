#include "simulator/usb/mock/mocked_sysfs.h"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/internal/raw_logging.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "simulator/usb/descriptors.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {
namespace {

constexpr UsbClass kHubClass = {0x09, 0x00, 0x01};
constexpr uint8_t kInterfaceDescriptor = 4;
constexpr int kUsbMajor = 189;

std::string Hex(const std::vector<uint8_t>& bytes) {
  std::string hex;
  for (uint8_t byte : bytes) absl::StrAppendFormat(&hex, "%02X", byte);
  return hex;
}

uint16_t Word(const std::vector<uint8_t>& bytes, size_t at) {
  return static_cast<uint16_t>(bytes.at(at) | bytes.at(at + 1) << 8);
}

struct DeviceWords {
  std::string manufacturer;
  std::string product;
  std::string serial;
};

std::string Describe(const std::string& devpath, int bus, int number, absl::string_view ports,
                     absl::string_view speed, const std::vector<uint8_t>& device,
                     const std::vector<uint8_t>& configuration, const DeviceWords& words) {
  const uint16_t vendor = Word(device, 8);
  const uint16_t product = Word(device, 10);
  const uint16_t release = Word(device, 12);
  std::string text = absl::StrFormat(
      "P: %s\n"
      "E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: DEVNAME=%s\n"
      "E: BUSNUM=%03d\nE: DEVNUM=%03d\nE: MAJOR=%d\nE: MINOR=%d\n"
      "E: PRODUCT=%x/%x/%x\nE: ID_VENDOR_ID=%04x\nE: ID_MODEL_ID=%04x\n"
      "A: busnum=%d\\n\nA: devnum=%d\\n\nA: devpath=%s\\n\nA: speed=%s\\n\n"
      "A: idVendor=%04x\\n\nA: idProduct=%04x\\n\nA: bDeviceClass=%02x\\n\n"
      "A: bConfigurationValue=1\\n\n",
      devpath, UsbNodePath(bus, number), bus, number, kUsbMajor, (bus - 1) * 128 + number - 1,
      vendor, product, release, vendor, product, bus, number, ports, speed, vendor, product,
      device[4]);
  for (const auto& [name, value] :
       {std::pair<absl::string_view, const std::string&>("manufacturer", words.manufacturer),
        {"product", words.product},
        {"serial", words.serial}}) {
    if (!value.empty()) absl::StrAppend(&text, "A: ", name, "=", value, "\\n\n");
  }
  std::vector<uint8_t> descriptors = device;
  descriptors.insert(descriptors.end(), configuration.begin(), configuration.end());
  absl::StrAppend(&text, "H: descriptors=", Hex(descriptors), "\n\n");
  return text;
}

std::vector<uint8_t> HubDescriptor(uint16_t product) {
  return DeviceDescriptor(0x1D6B, product, 0x0601, kHubClass);
}

std::vector<uint8_t> HubConfiguration() {
  return ConfigurationDescriptor(
      1, {InterfaceDescriptor(0, 1, kHubClass), InterruptEndpoint(0x81, 1, 12)});
}

}  // namespace

UsbTopology::UsbTopology(absl::string_view name) : name(name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '-');
  bool good = parts.size() == 2 && absl::SimpleAtoi(parts[0], &bus) && bus > 0;
  if (good) {
    for (absl::string_view port : absl::StrSplit(parts[1], '.')) {
      ports.push_back(0);
      good = good && absl::SimpleAtoi(port, &ports.back()) && ports.back() > 0;
    }
  }
  ABSL_RAW_CHECK(good, "not a place on a USB bus");
}

std::string UsbTopology::parent() const {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

std::string UsbTopology::devpath() const {
  const std::string above = parent();
  return absl::StrCat(above.empty() ? RootHubDevpath(bus) : UsbTopology(above).devpath(), "/",
                      name);
}

std::string RootHubDevpath(int bus) {
  return absl::StrFormat("/devices/pci0000:00/0000:00:14.%d/usb%d", bus, bus);
}

std::string UsbNodePath(int bus, int number) {
  return absl::StrFormat("/dev/bus/usb/%03d/%03d", bus, number);
}

std::string DescribeUsbDevice(const UsbTopology& place, int number, const UsbDeviceModel& model,
                              absl::string_view driver) {
  const std::string devpath = place.devpath();
  const std::vector<uint8_t>& device = model.device_descriptor();
  const std::vector<uint8_t>& configuration = model.configuration_descriptor();
  const DeviceWords words = {model.String(device[14]), model.String(device[15]),
                             model.String(device[16])};
  const std::string ports = place.name.substr(place.name.find('-') + 1);
  std::string text =
      Describe(devpath, place.bus, number, ports, model.speed() == UsbSpeed::kHigh ? "480" : "12",
               device, configuration, words);
  for (size_t at = 0; at + 8 < configuration.size() && configuration[at] >= 2;
       at += configuration[at]) {
    if (configuration[at + 1] != kInterfaceDescriptor) continue;
    const uint8_t interface = configuration[at + 2];
    absl::StrAppendFormat(&text,
                          "P: %s/%s:1.%d\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\n"
                          "A: bInterfaceNumber=%02x\\n\nA: bInterfaceClass=%02x\\n\n"
                          "A: bInterfaceSubClass=%02x\\n\n",
                          devpath, place.name, interface, interface, configuration[at + 5],
                          configuration[at + 6]);
    if (!driver.empty()) {
      absl::StrAppend(&text, "E: DRIVER=", driver, "\nL: driver=../../../../../../bus/usb/drivers/",
                      driver, "\n");
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string DescribeHub(const UsbTopology& place, int number) {
  const std::string ports = place.name.substr(place.name.find('-') + 1);
  return Describe(place.devpath(), place.bus, number, ports, "480", HubDescriptor(0x0101),
                  HubConfiguration(), {"", "USB 2.0 Hub", ""});
}

std::string DescribeRootHub(int bus) {
  return Describe(RootHubDevpath(bus), bus, 1, "0", "480", HubDescriptor(0x0002),
                  HubConfiguration(), {"Linux", "xHCI Host Controller", "0000:00:14.0"});
}

std::vector<std::string> TtyDevpaths(const UsbTopology& place, int interface,
                                     absl::string_view name) {
  const std::string above = absl::StrFormat("%s/%s:1.%d", place.devpath(), place.name, interface);
  // Drivers of the serial core have a device of their own between.
  if (!absl::StartsWith(name, "ttyUSB")) return {absl::StrCat(above, "/tty/", name)};
  const std::string port = absl::StrCat(above, "/", name);
  return {absl::StrCat(port, "/tty/", name), port};
}

std::string DescribeTty(const UsbTopology& place, int interface, absl::string_view name) {
  const std::vector<std::string> devpaths = TtyDevpaths(place, interface, name);
  std::string text;
  if (devpaths.size() > 1) {
    absl::StrAppend(&text, "P: ", devpaths[1], "\nE: SUBSYSTEM=usb-serial\n\n");
  }
  absl::StrAppend(&text, "P: ", devpaths[0], "\nE: SUBSYSTEM=tty\nE: DEVNAME=/dev/", name,
                  "\nL: device=../../\n\n");
  return text;
}

}  // namespace kiln::simulator
