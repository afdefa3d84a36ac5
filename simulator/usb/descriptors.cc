#include "simulator/usb/descriptors.h"

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace kiln::simulator {
namespace {

constexpr uint8_t Low(uint16_t word) { return word & 0xFF; }
constexpr uint8_t High(uint16_t word) { return static_cast<uint8_t>(word >> 8); }

constexpr uint8_t kControlMaxPacket = 64;
constexpr uint8_t kBusPowered = 0x80;
constexpr uint8_t kHundredMilliamperes = 50;  // in units of 2 mA
constexpr uint8_t kBulk = 2;
constexpr uint8_t kInterrupt = 3;

}  // namespace

std::vector<uint8_t> DeviceDescriptor(uint16_t vendor, uint16_t product, uint16_t release,
                                      UsbClass usb_class) {
  return {18,
          1,
          0x00,  // USB 2.00
          0x02,
          usb_class.device_class,
          usb_class.subclass,
          usb_class.protocol,
          kControlMaxPacket,
          Low(vendor),
          High(vendor),
          Low(product),
          High(product),
          Low(release),
          High(release),
          1,
          2,
          3,
          1};
}

std::vector<uint8_t> InterfaceDescriptor(uint8_t number, uint8_t endpoints, UsbClass usb_class) {
  return {
      9, 4, number, 0, endpoints, usb_class.device_class, usb_class.subclass, usb_class.protocol,
      0};
}

std::vector<uint8_t> BulkEndpoint(uint8_t address, uint16_t max_packet) {
  return {7, 5, address, kBulk, Low(max_packet), High(max_packet), 0};
}

std::vector<uint8_t> InterruptEndpoint(uint8_t address, uint16_t max_packet, uint8_t interval) {
  return {7, 5, address, kInterrupt, Low(max_packet), High(max_packet), interval};
}

std::vector<uint8_t> ConfigurationDescriptor(uint8_t interfaces,
                                             std::initializer_list<std::vector<uint8_t>> parts) {
  std::vector<uint8_t> all = {9, 2, 0, 0, interfaces, 1, 0, kBusPowered, kHundredMilliamperes};
  for (const std::vector<uint8_t>& part : parts) all.insert(all.end(), part.begin(), part.end());
  const uint16_t size = static_cast<uint16_t>(all.size());
  all[2] = Low(size);
  all[3] = High(size);
  return all;
}

}  // namespace kiln::simulator
