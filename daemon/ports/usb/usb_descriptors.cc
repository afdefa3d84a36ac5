#include "daemon/ports/usb/usb_descriptors.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/little_endian.h"
#include "base/status_macros.h"

namespace kiln::ports {
namespace {

// USB 2.0, table 9-5, and for the class-specific ones CDC 1.2, tables 12 and 13.
constexpr uint8_t kDevice = 1;
constexpr uint8_t kConfigurationType = 2;
constexpr uint8_t kInterfaceType = 4;
constexpr uint8_t kEndpointType = 5;
constexpr uint8_t kClassInterfaceType = 0x24;
constexpr uint8_t kCallManagement = 1;
constexpr uint8_t kUnion = 6;

constexpr size_t kDeviceSize = 18;
constexpr size_t kConfigurationSize = 9;
constexpr size_t kInterfaceSize = 9;
constexpr size_t kEndpointSize = 7;
constexpr size_t kFunctionalSize = 5;

constexpr uint8_t kTransferTypeMask = 3;
constexpr uint8_t kBulk = 2;
constexpr uint16_t kPacketSizeMask = 0x7ff;  // the bits above count extra transactions
constexpr uint16_t kMaxBulkPacket = 1024;    // USB 3.2, 9.6.6

constexpr uint8_t kCommunicationClass = 2;
constexpr uint8_t kAcmSubclass = 2;
constexpr uint8_t kDataClass = 0x0a;

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("USB descriptors: ", what));
}

UsbEndpoint ParseEndpoint(absl::Span<const uint8_t> bytes) {
  UsbEndpoint endpoint;
  endpoint.address = bytes[2];
  endpoint.max_packet = base::LoadLe16(&bytes[4]) & kPacketSizeMask;
  endpoint.is_bulk = (bytes[3] & kTransferTypeMask) == kBulk && endpoint.max_packet > 0 &&
                     endpoint.max_packet <= kMaxBulkPacket;
  return endpoint;
}

// Walks the descriptors of one configuration, its own included.
absl::StatusOr<UsbConfiguration> ParseConfiguration(absl::Span<const uint8_t> bytes) {
  UsbConfiguration configuration;
  configuration.value = bytes[5];
  bytes.remove_prefix(bytes[0]);
  UsbInterface* interface = nullptr;  // null within alternate settings
  while (!bytes.empty()) {
    const size_t size = bytes[0];
    if (size < 2 || size > bytes.size()) return Bad("a length does not fit");
    const auto descriptor = bytes.first(size);
    bytes.remove_prefix(size);
    switch (descriptor[1]) {
      case kInterfaceType:
        if (size < kInterfaceSize) return Bad("an interface is too short");
        interface = nullptr;
        if (descriptor[3] != 0) break;
        interface = &configuration.interfaces.emplace_back();
        interface->number = descriptor[2];
        interface->interface_class = descriptor[5];
        interface->interface_subclass = descriptor[6];
        break;
      case kEndpointType:
        if (size < kEndpointSize) return Bad("an endpoint is too short");
        if (interface != nullptr) interface->endpoints.push_back(ParseEndpoint(descriptor));
        break;
      case kClassInterfaceType:
        // The first subordinate interface of a union is the data interface.
        if (interface == nullptr || size < kFunctionalSize) break;
        if (descriptor[2] == kUnion) interface->union_data_interface = descriptor[4];
        if (descriptor[2] == kCallManagement) {
          interface->call_management_data_interface = descriptor[4];
        }
        break;
      default:
        break;
    }
  }
  return configuration;
}

const UsbInterface* FindInterface(const UsbConfiguration& configuration, uint8_t number) {
  for (const UsbInterface& interface : configuration.interfaces) {
    if (interface.number == number) return &interface;
  }
  return nullptr;
}

// Fills in the data side of `layout`; false when `interface` has no pair of bulk endpoints.
bool TakeEndpoints(const UsbInterface& interface, UsbSerialLayout& layout) {
  const UsbEndpoint* in = nullptr;
  const UsbEndpoint* out = nullptr;
  for (const UsbEndpoint& endpoint : interface.endpoints) {
    if (!endpoint.is_bulk) continue;
    const UsbEndpoint*& side = endpoint.is_in() ? in : out;
    if (side == nullptr) side = &endpoint;
  }
  if (in == nullptr || out == nullptr) return false;
  layout.data_interface = interface.number;
  layout.in = *in;
  layout.out = *out;
  return true;
}

bool TakeEndpoints(const UsbConfiguration& configuration, std::optional<uint8_t> number,
                   UsbSerialLayout& layout) {
  if (!number.has_value()) return false;
  const UsbInterface* interface = FindInterface(configuration, *number);
  return interface != nullptr && TakeEndpoints(*interface, layout);
}

absl::Status NoTerminal(uint8_t serial_port) {
  return absl::NotFoundError(absl::StrCat("the adapter has no terminal ", serial_port));
}

}  // namespace

const UsbConfiguration* UsbDescriptors::Active(uint8_t value) const {
  for (const UsbConfiguration& configuration : configurations) {
    if (configuration.value == value) return &configuration;
  }
  return configurations.empty() ? nullptr : &configurations.front();
}

absl::StatusOr<UsbDescriptors> ParseUsbDescriptors(absl::Span<const uint8_t> bytes) {
  if (bytes.size() < kDeviceSize || bytes[0] != kDeviceSize || bytes[1] != kDevice) {
    return Bad("no device descriptor");
  }
  UsbDescriptors result;
  result.vendor = base::LoadLe16(&bytes[8]);
  result.product = base::LoadLe16(&bytes[10]);
  result.release = base::LoadLe16(&bytes[12]);
  bytes.remove_prefix(kDeviceSize);
  while (!bytes.empty()) {
    if (bytes.size() < kConfigurationSize || bytes[0] < kConfigurationSize ||
        bytes[1] != kConfigurationType) {
      return Bad("no configuration where one should begin");
    }
    const size_t total = base::LoadLe16(&bytes[2]);
    if (total < bytes[0] || total > bytes.size()) return Bad("a configuration is cut off");
    ASSIGN_OR_RETURN(UsbConfiguration configuration, ParseConfiguration(bytes.first(total)));
    result.configurations.push_back(configuration);
    bytes.remove_prefix(total);
  }
  return result;
}

absl::StatusOr<UsbSerialLayout> FindVendorLayout(const UsbConfiguration& configuration,
                                                 uint8_t serial_port) {
  UsbSerialLayout layout;
  layout.control_interface = serial_port;
  if (!TakeEndpoints(configuration, serial_port, layout)) return NoTerminal(serial_port);
  return layout;
}

absl::StatusOr<UsbSerialLayout> FindCdcLayout(const UsbConfiguration& configuration,
                                              uint8_t serial_port) {
  const UsbInterface* control = nullptr;
  int terminal = 0;
  for (const UsbInterface& interface : configuration.interfaces) {
    if (interface.interface_class != kCommunicationClass ||
        interface.interface_subclass != kAcmSubclass) {
      continue;
    }
    if (terminal++ == serial_port) control = &interface;
  }
  if (control == nullptr) return NoTerminal(serial_port);
  UsbSerialLayout layout;
  layout.control_interface = control->number;
  // What the device declares, in the order of its reliability; then what most devices are built
  // like; then what some do: everything in one interface.
  const auto next = static_cast<uint8_t>(control->number + 1);
  for (const auto& number :
       {control->union_data_interface, control->call_management_data_interface,
        std::optional<uint8_t>(next), std::optional<uint8_t>(control->number)}) {
    if (TakeEndpoints(configuration, number, layout)) return layout;
  }
  const auto data = std::find_if(
      configuration.interfaces.begin(), configuration.interfaces.end(),
      [](const UsbInterface& interface) { return interface.interface_class == kDataClass; });
  if (data != configuration.interfaces.end() && TakeEndpoints(*data, layout)) return layout;
  return NoTerminal(serial_port);
}

}  // namespace kiln::ports
