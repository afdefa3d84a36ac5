#ifndef KILN_SIMULATOR_USB_MOCK_USBFS_CLAIMS_H_
#define KILN_SIMULATOR_USB_MOCK_USBFS_CLAIMS_H_

#include <linux/usbdevice_fs.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"

namespace kiln::simulator {

// What a mocked device does to those who want it; may be changed while it is plugged in.
struct MockedDeviceFaults {
  // Opening the node fails with EACCES.
  bool permission_denied = false;
  // A program that is not under test holds all interfaces: claiming them fails with EBUSY.
  bool claimed_by_other = false;
  // For so long after arrival claiming fails with EINVAL, as on real kernels whose own work on a
  // new device is not finished.
  absl::Duration claim_race = absl::ZeroDuration();
};

// What an ioctl returns, and errno where that is -1.
struct UsbfsAnswer {
  long result = 0;
  int error = 0;

  static UsbfsAnswer Fail(int error) { return {-1, error}; }
};

// Who holds which interface of a mocked device: the kernel's driver, a program under test, one that
// is not, or nobody. Owned by the device's node, whose calls it answers.
class UsbfsClaims {
 public:
  // Stands for an open descriptor; only compared.
  using Owner = const void*;

  // `configuration`: the device's configuration descriptor. `kernel_driver`: the one that is bound
  // to all interfaces at first; empty: none.
  UsbfsClaims(const std::vector<uint8_t>& configuration, base::Clock& clock,
              const std::string& kernel_driver, const MockedDeviceFaults& faults);

  // The ioctls of these names.
  UsbfsAnswer GetDriver(usbdevfs_getdriver& query) const;
  UsbfsAnswer ConnectOrDisconnect(const usbdevfs_ioctl& command);
  UsbfsAnswer DisconnectAndClaim(Owner owner, const usbdevfs_disconnect_claim& claim);
  UsbfsAnswer Claim(Owner owner, int interface);
  UsbfsAnswer Release(Owner owner, int interface);
  // Whether a request or a transfer may use the interface; claims it when nobody has (as usbfs
  // does).
  UsbfsAnswer Use(Owner owner, int interface) { return Claim(owner, interface); }

  std::vector<int> ClaimedBy(Owner owner) const;
  // Whether any program under test has claimed an interface.
  bool claimed() const { return !claims_.empty(); }
  bool kernel_driver_bound() const { return !bound_.empty(); }
  const std::set<int>& interfaces() const { return interfaces_; }
  // Nothing for an endpoint that the device does not have.
  std::optional<int> InterfaceOfEndpoint(uint8_t endpoint) const;

  void SetFaults(const MockedDeviceFaults& faults) { faults_ = faults; }

 private:
  bool HasInterface(int interface) const { return interfaces_.count(interface) != 0; }
  bool TooEarly() const { return clock_.Monotonic() < arrived_ + faults_.claim_race; }

  base::Clock& clock_;
  const std::string kernel_driver_;
  const absl::Duration arrived_;
  MockedDeviceFaults faults_;
  std::set<int> interfaces_;
  std::map<uint8_t, int> interface_of_endpoint_;
  std::set<int> bound_;  // interfaces that the kernel's driver holds
  std::map<int, Owner> claims_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_MOCK_USBFS_CLAIMS_H_
