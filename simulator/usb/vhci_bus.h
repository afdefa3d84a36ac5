#ifndef KILN_SIMULATOR_USB_VHCI_BUS_H_
#define KILN_SIMULATOR_USB_VHCI_BUS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// A port of the kernel's virtual USB host controller.
struct VhciPort {
  int number = 0;     // counted over all virtual controllers, as the kernel takes it
  std::string place;  // on the bus, as sysfs names what is plugged in there: "3-1"
};

// The kernel's virtual USB host controllers (module vhci_hcd), by their files in sysfs; only root
// may plug in there. Gives every board a port of its own, which it keeps over replugs. Owned by the
// server; one thread.
class VhciBus {
 public:
  // The root is "/sys", except in tests.
  explicit VhciBus(std::string sysfs_root = "/sys") : root_(std::move(sysfs_root)) {}

  // A free port that was not given before. NOT_FOUND without the module, RESOURCE_EXHAUSTED when
  // all are taken.
  absl::StatusOr<VhciPort> Reserve();

  // Plugs what serves the other end of `socket` (a connected stream socket, of which the kernel
  // takes a reference) in at `port`. UNAVAILABLE while the port is not free (again) yet,
  // PERMISSION_DENIED for all but root.
  absl::Status Attach(const VhciPort& port, int socket, UsbSpeed speed);

 private:
  std::string Platform(int controller) const;
  // The bus of the controller's half for full and high speed.
  absl::StatusOr<int> BusNumber(int controller) const;

  const std::string root_;
  std::set<int> given_;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_VHCI_BUS_H_
