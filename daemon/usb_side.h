#ifndef KILN_DAEMON_USB_SIDE_H_
#define KILN_DAEMON_USB_SIDE_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/cancellation.h"
#include "base/clock.h"
#include "daemon/boards/hotplug_record.h"
#include "daemon/boards/port_source.h"
#include "daemon/boards/registry.h"
#include "daemon/boards/usb_facts.h"
#include "daemon/config.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/telemetry/metrics.h"

namespace kiln::daemon {

// The station's USB bus: libusb, the source of boards, and how it learns of them. Made by the
// station before its registry and gone after it. A system without USB, or where libusb cannot
// start, makes a station that only lacks own drivers and events. Thread-safe once connected.
class UsbSide {
 public:
  // Where the system shows its devices; others only in tests.
  struct Roots {
    std::string sysfs = "/sys";
    std::string dev = "/dev";
    std::string proc = "/proc";
    std::string run = "/run";
  };

  // `context` as UsbContext::Create gave it. `clock` and `metrics` must outlive it.
  UsbSide(const Config& config, absl::StatusOr<std::unique_ptr<ports::UsbContext>> context,
          base::Clock& clock, telemetry::Metrics& metrics, Roots roots);
  ~UsbSide();

  // The boards on the bus. Must not outlive this object.
  std::unique_ptr<boards::PortSource> MakeSource();

  // From now on events wake `registry`, and what it finds counts as found after start.
  void Connect(boards::Registry& registry);
  // No more calls of the registry when it returns.
  void Disconnect();

  // To be told of each arrival at the registry.
  void BoardArrived(const boards::BoardInfo& board);

  // The health check "usb", which is critical: fails when libusb cannot start and a port needs it;
  // degraded when the station's boards on the bus are only found by polling. A station without such
  // ports lacks nothing. `message` says which way found the last board.
  absl::Status CheckHealth(const boards::Registry& registry, std::string& message) const;

  // MacOfUsbSerialNumber for the device at `topology`.
  std::string MacAt(const std::string& topology) const;

  // boards::PowerCyclePort for the board at `usb`.
  absl::Status PowerCycle(const boards::UsbFacts& usb, absl::Duration off_time,
                          const base::Cancellation& cancellation);

 private:
  bool PortNeedsLibusb(const boards::Registry& registry) const;

  const Config config_;
  base::Clock& clock_;
  telemetry::Metrics& metrics_;
  const Roots roots_;
  absl::Status libusb_;
  std::unique_ptr<ports::UsbContext> context_;  // null unless libusb_ is OK
  boards::HotplugRecord record_;
  std::atomic<bool> connected_ = false;
};

}  // namespace kiln::daemon

#endif  // KILN_DAEMON_USB_SIDE_H_
