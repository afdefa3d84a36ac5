#include "simulator/usb/mock/usbfs_claims.h"

#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace kiln::simulator {
namespace {

constexpr char kUsbfs[] = "usbfs";

// Descriptor types; what each says of itself stands in its third byte.
constexpr uint8_t kInterfaceDescriptor = 4;
constexpr uint8_t kEndpointDescriptor = 5;

}  // namespace

UsbfsClaims::UsbfsClaims(const std::vector<uint8_t>& configuration, base::Clock& clock,
                         const std::string& kernel_driver, const MockedDeviceFaults& faults)
    : clock_(clock), kernel_driver_(kernel_driver), arrived_(clock.Monotonic()), faults_(faults) {
  const std::vector<uint8_t>& all = configuration;
  int interface = 0;
  for (size_t at = 0; at + 2 < all.size() && all[at] >= 2; at += all[at]) {
    if (all[at + 1] == kInterfaceDescriptor) interfaces_.insert(interface = all[at + 2]);
    if (all[at + 1] == kEndpointDescriptor) interface_of_endpoint_[all[at + 2]] = interface;
  }
  if (!kernel_driver_.empty()) bound_ = interfaces_;
}

UsbfsAnswer UsbfsClaims::GetDriver(usbdevfs_getdriver& query) const {
  const int interface = static_cast<int>(query.interface);
  const bool usbfs = faults_.claimed_by_other || claims_.count(interface) != 0;
  if (!usbfs && bound_.count(interface) == 0) return UsbfsAnswer::Fail(ENODATA);
  std::snprintf(query.driver, sizeof(query.driver), "%s", usbfs ? kUsbfs : kernel_driver_.c_str());
  return {};
}

UsbfsAnswer UsbfsClaims::ConnectOrDisconnect(const usbdevfs_ioctl& command) {
  if (!HasInterface(command.ifno)) return UsbfsAnswer::Fail(EINVAL);
  switch (static_cast<unsigned int>(command.ioctl_code)) {
    case USBDEVFS_DISCONNECT:
      return bound_.erase(command.ifno) != 0 ? UsbfsAnswer{} : UsbfsAnswer::Fail(ENODATA);
    case USBDEVFS_CONNECT:
      if (claims_.count(command.ifno) != 0 || bound_.count(command.ifno) != 0) {
        return UsbfsAnswer::Fail(EBUSY);
      }
      if (kernel_driver_.empty()) return {};
      bound_.insert(command.ifno);
      return {1, 0};
    default:
      return UsbfsAnswer::Fail(ENOTTY);
  }
}

UsbfsAnswer UsbfsClaims::DisconnectAndClaim(Owner owner, const usbdevfs_disconnect_claim& claim) {
  const int interface = static_cast<int>(claim.interface);
  if (!HasInterface(interface) || TooEarly()) return UsbfsAnswer::Fail(EINVAL);
  if (bound_.count(interface) != 0) {
    const bool same = std::strncmp(claim.driver, kernel_driver_.c_str(), sizeof(claim.driver)) == 0;
    const bool refused = ((claim.flags & USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER) != 0 && !same) ||
                         ((claim.flags & USBDEVFS_DISCONNECT_CLAIM_EXCEPT_DRIVER) != 0 && same);
    if (refused) return UsbfsAnswer::Fail(EBUSY);
    bound_.erase(interface);
  }
  return Claim(owner, interface);
}

UsbfsAnswer UsbfsClaims::Claim(Owner owner, int interface) {
  if (TooEarly()) return UsbfsAnswer::Fail(EINVAL);
  if (!HasInterface(interface)) return UsbfsAnswer::Fail(ENOENT);
  const auto found = claims_.find(interface);
  if (found != claims_.end() && found->second == owner) return {};
  if (found != claims_.end() || faults_.claimed_by_other || bound_.count(interface) != 0) {
    return UsbfsAnswer::Fail(EBUSY);
  }
  claims_[interface] = owner;
  return {};
}

UsbfsAnswer UsbfsClaims::Release(Owner owner, int interface) {
  const auto found = claims_.find(interface);
  if (found == claims_.end() || found->second != owner) return UsbfsAnswer::Fail(EINVAL);
  claims_.erase(found);
  return {};
}

std::vector<int> UsbfsClaims::ClaimedBy(Owner owner) const {
  std::vector<int> claimed;
  for (const auto& [interface, holder] : claims_) {
    if (holder == owner) claimed.push_back(interface);
  }
  return claimed;
}

std::optional<int> UsbfsClaims::InterfaceOfEndpoint(uint8_t endpoint) const {
  const auto found = interface_of_endpoint_.find(endpoint);
  if (found == interface_of_endpoint_.end()) return std::nullopt;
  return found->second;
}

}  // namespace kiln::simulator
