#ifndef KILN_DAEMON_PORTS_USB_USB_DESCRIPTORS_H_
#define KILN_DAEMON_PORTS_USB_USB_DESCRIPTORS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace kiln::ports {

struct UsbEndpoint {
  uint8_t address = 0;  // bit 7 set: to the host
  bool is_bulk = false;
  uint16_t max_packet = 0;  // bytes; 1 to 1024 for bulk endpoints

  bool is_in() const { return (address & 0x80) != 0; }
};

struct UsbInterface {
  uint8_t number = 0;
  uint8_t interface_class = 0;
  uint8_t interface_subclass = 0;
  std::vector<UsbEndpoint> endpoints;
  // From the CDC functional descriptors, where they stand.
  std::optional<uint8_t> union_data_interface;
  std::optional<uint8_t> call_management_data_interface;
};

struct UsbConfiguration {
  uint8_t value = 0;                     // as bConfigurationValue names it
  std::vector<UsbInterface> interfaces;  // first settings only: serial adapters have no others
};

struct UsbDescriptors {
  uint16_t vendor = 0;
  uint16_t product = 0;
  uint16_t release = 0;  // bcdDevice
  std::vector<UsbConfiguration> configurations;

  // The configuration with this value, else the first, else null.
  const UsbConfiguration* Active(uint8_t value) const;
};

// Reads a device descriptor and the configurations behind it, as sysfs' file "descriptors" holds
// them. Every byte is the device's own choice: INVALID_ARGUMENT when lengths do not fit.
absl::StatusOr<UsbDescriptors> ParseUsbDescriptors(absl::Span<const uint8_t> bytes);

// The interfaces and endpoints of one terminal of an adapter.
struct UsbSerialLayout {
  uint8_t control_interface = 0;
  uint8_t data_interface = 0;  // for most adapters the same
  UsbEndpoint in;
  UsbEndpoint out;
};

// Adapters with a protocol of their maker's: interface `serial_port` is the terminal. NOT_FOUND
// when it or its bulk endpoints are missing.
absl::StatusOr<UsbSerialLayout> FindVendorLayout(const UsbConfiguration& configuration,
                                                 uint8_t serial_port);
// CDC-ACM (USB Class Definitions for Communication Devices 1.2): the communication interface number
// `serial_port`, counted from 0, and its data interface. NOT_FOUND as above.
absl::StatusOr<UsbSerialLayout> FindCdcLayout(const UsbConfiguration& configuration,
                                              uint8_t serial_port);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_DESCRIPTORS_H_
