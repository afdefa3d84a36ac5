#include "daemon/boards/tty_scan.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "daemon/boards/port_access.h"
#include "daemon/boards/port_source.h"
#include "daemon/ports/kernel_tty.h"
#include "daemon/ports/usb_sysfs.h"

namespace kiln::boards {
namespace {

namespace fs = std::filesystem;

// USB vendor ids: Silicon Labs, WCH (QinHeng), FTDI, Espressif.
constexpr std::array<uint16_t, 4> kVendors = {0x10c4, 0x1a86, 0x0403, ports::kEspressifVendor};

struct FoundTty {
  std::string name;
  ports::UsbDevice device;
};

// "CP2102 USB to UART Bridge (10c4:ea60)".
std::string Describe(const ports::UsbDevice& device) {
  std::string words = device.description.empty() ? device.manufacturer : device.description;
  if (!words.empty()) words += " ";
  return words + absl::StrFormat("(%04x:%04x)", device.vendor, device.product);
}

class TtyScan final : public PortSource {
 public:
  TtyScan(std::string dev_root, std::string sysfs_root)
      : dev_root_(std::move(dev_root)), sysfs_root_(std::move(sysfs_root)) {}

  std::vector<FoundPort> Scan() override;

 private:
  std::vector<FoundTty> FindTtys() const;

  const std::string dev_root_;
  const std::string sysfs_root_;
};

std::vector<FoundTty> TtyScan::FindTtys() const {
  std::vector<FoundTty> ttys;
  std::error_code error;
  for (fs::directory_iterator it(dev_root_, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!absl::StartsWith(name, "ttyUSB") && !absl::StartsWith(name, "ttyACM")) continue;
    std::optional<ports::UsbDevice> device = ports::UsbDeviceOfTty(name, sysfs_root_);
    if (!device.has_value()) continue;
    if (std::find(kVendors.begin(), kVendors.end(), device->vendor) == kVendors.end()) continue;
    ttys.push_back({std::move(name), *std::move(device)});
  }
  std::sort(ttys.begin(), ttys.end(), [](const FoundTty& a, const FoundTty& b) {
    return std::tie(a.device.topology, a.device.interface_number, a.name) <
           std::tie(b.device.topology, b.device.interface_number, b.name);
  });
  return ttys;
}

std::vector<FoundPort> TtyScan::Scan() {
  std::vector<FoundPort> ports;
  std::string last_topology;
  for (const FoundTty& tty : FindTtys()) {
    FoundPort port;
    port.name = absl::StrCat("usb-", tty.device.topology);
    // The first terminal has the plain name whatever its interface is: a chip's
    // own USB numbers it differently in its loader and in its program.
    if (tty.device.topology == last_topology) {
      absl::StrAppend(&port.name, "-if", tty.device.interface_number);
    }
    last_topology = tty.device.topology;
    port.address = absl::StrCat(dev_root_, "/", tty.name);
    port.device = port.address;
    port.adapter = Describe(tty.device);
    port.opener = std::make_shared<ports::KernelTtyOpener>(port.address, sysfs_root_);
    port.present = port.opener->Present();
    if (port.present) {
      port.instance = port.opener->Instance();
      port.usable = CheckAccess(port.address);
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

}  // namespace

std::unique_ptr<PortSource> MakeTtyScan(const std::string& dev_root,
                                        const std::string& sysfs_root) {
  return std::make_unique<TtyScan>(dev_root, sysfs_root);
}

}  // namespace kiln::boards
