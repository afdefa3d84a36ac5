#include "daemon/ports/usb/usb_serial.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/port_holder.h"
#include "daemon/ports/udev_rule.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/libusb_handle.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_place.h"
#include "daemon/ports/usb/usb_serial_stream.h"
#include "daemon/ports/usb_node_lock.h"
#include "errors/error.h"

namespace kiln::ports {

using errors::ErrorCode;
using errors::MakeError;

namespace {

// How long what may pass by itself is tried again: udev sets a new node's group within a second,
// and the kernel answers nonsense for some 30 ms after an arrival.
constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr absl::Duration kFirstPause = absl::Milliseconds(10);
constexpr absl::Duration kLongestPause = absl::Milliseconds(200);

class UsbSerialOpener final : public StreamOpener {
 public:
  UsbSerialOpener(UsbContext& context, base::Clock& clock, UsbPlace place,
                  const UsbAdapter& adapter, std::string sysfs_root)
      : context_(context),
        clock_(clock),
        place_(std::move(place)),
        adapter_(adapter),
        sysfs_root_(std::move(sysfs_root)) {}

  absl::StatusOr<std::unique_ptr<ByteStream>> Open() override;

  std::string address() const override {
    const std::string place = absl::StrCat("usb://", UsbPlaceName(place_));
    return adapter_.serial_ports == 1 ? place : absl::StrCat(place, ":", place_.serial_port);
  }

  bool Present() override { return UsbDeviceNumberAt(place_, sysfs_root_).has_value(); }

  std::string Instance() override {
    const std::optional<uint8_t> number = UsbDeviceNumberAt(place_, sysfs_root_);
    return number.has_value() ? absl::StrCat(place_.bus, ":", *number) : "";
  }

 private:
  // One attempt. `final` is set when another one cannot end better.
  absl::StatusOr<std::unique_ptr<ByteStream>> TryOpen(bool& final);
  absl::StatusOr<base::UniqueFd> OpenNode(const std::string& node) const;
  absl::Status CheckKernelTerminals(const UsbConfiguration& configuration,
                                    const std::vector<uint8_t>& interfaces) const;
  absl::Status Busy(const std::string& path, const std::string& holder) const;

  UsbContext& context_;
  base::Clock& clock_;
  const UsbPlace place_;
  const UsbAdapter& adapter_;
  const std::string sysfs_root_;
};

absl::StatusOr<std::unique_ptr<ByteStream>> UsbSerialOpener::Open() {
  const absl::Duration deadline = clock_.Monotonic() + kPatience;
  for (absl::Duration pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    bool final = false;
    auto stream = TryOpen(final);
    if (stream.ok() || final || clock_.Monotonic() >= deadline) return stream;
    clock_.Sleep(pause);
  }
}

absl::StatusOr<std::unique_ptr<ByteStream>> UsbSerialOpener::TryOpen(bool& final) {
  const std::optional<uint8_t> number = UsbDeviceNumberAt(place_, sysfs_root_);
  if (!number.has_value()) {
    final = true;
    return MakeError(ErrorCode::kBoardNotFound, absl::StrCat(address(), ": nothing is there"));
  }
  const auto device = ReadUsbDevice(place_, sysfs_root_);
  if (!device.ok()) return errors::TypedAs(ErrorCode::kPortFailed, device.status());
  const auto layout = adapter_.driver == UsbDriver::kCdcAcm
                          ? FindCdcLayout(device->configuration, place_.serial_port)
                          : FindVendorLayout(device->configuration, place_.serial_port);
  if (!layout.ok()) return errors::TypedAs(ErrorCode::kPortFailed, layout.status());
  std::vector<uint8_t> interfaces = {layout->control_interface};
  if (layout->data_interface != layout->control_interface) {
    interfaces.push_back(layout->data_interface);
  }

  const std::string node = UsbNodePath(place_.bus, *number);
  ASSIGN_OR_RETURN(base::UniqueFd file, OpenNode(node));
  ASSIGN_OR_RETURN(const bool locked,
                   LockUsbNode(file.get(), layout->control_interface, UsbNodeUse::kOwnDriver));
  if (!locked) {
    final = true;
    file.Reset();  // so that this process is not named as the holder for its attempt
    return Busy(node, FindHolderOfNode(node));
  }
  RETURN_IF_ERROR(CheckKernelTerminals(device->configuration, interfaces));
  auto handle = LibusbHandle::Open(
      context_,
      {.bus = place_.bus, .device_number = *number, .node = std::move(file), .address = address()},
      interfaces);
  if (errors::Is(handle.status(), ErrorCode::kPortBusy)) return Busy(node, FindHolderOfNode(node));
  RETURN_IF_ERROR(handle.status());
  return UsbSerialStream::Start(*std::move(handle), adapter_, *layout, device->release, address(),
                                clock_);
}

absl::StatusOr<base::UniqueFd> UsbSerialOpener::OpenNode(const std::string& node) const {
  base::UniqueFd file(::open(node.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (file.valid()) return file;
  const int error = errno;
  const std::string detail = absl::StrCat(node, ": ", std::strerror(error));
  if (error == EACCES || error == EPERM) {
    return MakeError(ErrorCode::kPortPermission,
                     absl::StrCat(detail, "; ", UdevRuleToInstall(place_.vendor, place_.product)));
  }
  return MakeError(error == ENOENT || error == ENODEV || error == ENXIO ? ErrorCode::kBoardNotFound
                                                                        : ErrorCode::kPortFailed,
                   detail);
}

// Detaching the kernel's driver would tear the line from under whoever uses its terminal.
absl::Status UsbSerialOpener::CheckKernelTerminals(const UsbConfiguration& configuration,
                                                   const std::vector<uint8_t>& interfaces) const {
  for (const uint8_t interface : interfaces) {
    for (const std::string& terminal :
         UsbTerminalsOf(place_, configuration.value, interface, sysfs_root_)) {
      const std::string holder = FindHolder(terminal);
      if (!holder.empty()) return Busy(terminal, holder);
    }
  }
  return absl::OkStatus();
}

absl::Status UsbSerialOpener::Busy(const std::string& path, const std::string& holder) const {
  return MakeError(ErrorCode::kPortBusy, absl::StrCat(address(), ": ", DescribeUse(path, holder)));
}

}  // namespace

std::unique_ptr<StreamOpener> MakeUsbSerialOpener(UsbContext& context, base::Clock& clock,
                                                  const UsbPlace& place, const UsbAdapter& adapter,
                                                  const std::string& sysfs_root) {
  return std::make_unique<UsbSerialOpener>(context, clock, place, adapter, sysfs_root);
}

}  // namespace kiln::ports
