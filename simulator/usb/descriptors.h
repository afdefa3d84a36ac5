#ifndef KILN_SIMULATOR_USB_DESCRIPTORS_H_
#define KILN_SIMULATOR_USB_DESCRIPTORS_H_

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace kiln::simulator {

// The bytes of USB descriptors (USB 2.0, 9.6), for device models.

struct UsbClass {
  uint8_t device_class = 0;
  uint8_t subclass = 0;
  uint8_t protocol = 0;
};
// Everything is the manufacturer's own.
inline constexpr UsbClass kVendorClass = {0xFF, 0, 0};

// With string 1 the manufacturer, 2 the product, 3 the serial number.
std::vector<uint8_t> DeviceDescriptor(uint16_t vendor, uint16_t product, uint16_t release,
                                      UsbClass usb_class = {});

std::vector<uint8_t> InterfaceDescriptor(uint8_t number, uint8_t endpoints, UsbClass usb_class);
std::vector<uint8_t> BulkEndpoint(uint8_t address, uint16_t max_packet);
std::vector<uint8_t> InterruptEndpoint(uint8_t address, uint16_t max_packet, uint8_t interval);

// The whole configuration: its own header, then `parts`.
std::vector<uint8_t> ConfigurationDescriptor(uint8_t interfaces,
                                             std::initializer_list<std::vector<uint8_t>> parts);

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_DESCRIPTORS_H_
