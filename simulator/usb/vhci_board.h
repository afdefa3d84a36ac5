#ifndef KILN_SIMULATOR_USB_VHCI_BOARD_H_
#define KILN_SIMULATOR_USB_VHCI_BOARD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/unique_fd.h"
#include "simulator/board_front.h"
#include "simulator/event_loop.h"
#include "simulator/usb/usb_device_model.h"
#include "simulator/usb/usbip_session.h"
#include "simulator/usb/vhci_bus.h"

namespace kiln::simulator {

// A simulated board on the USB of this very machine: a device model behind the kernel's virtual
// host controller, which takes it for real and lets its own drivers bind. Owned by the server; its
// thread only.
class VhciBoard final : public BoardFront {
 public:
  // `model` has one serial port with a board behind it. `bus`, `loop` and `clock` must outlive it.
  // Not plugged in yet.
  VhciBoard(std::unique_ptr<UsbDeviceModel> model, VhciPort place, VhciBus& bus, EventLoop& loop,
            base::Clock& clock);
  ~VhciBoard() override;

  // While the kernel still clears away what was plugged in before, Step tries again.
  absl::Status Plug() override;
  void Unplug() override;
  bool plugged() const override { return plugged_; }
  std::optional<absl::Duration> Step() override;
  SimulatedBoard& board() override { return *port().peer().board(); }
  void PressReset() override { board().PressReset(clock_.Monotonic()); }
  absl::Time first_byte_time() const override { return first_byte_time_; }
  std::string path() const override { return "usb-" + place_.place; }
  std::string Statistics() const override;

 private:
  absl::Status Attach();
  void Detach();
  void ReadHost();
  void WriteHost();
  SerialPort& port() { return model_->serial_port(0); }

  const std::unique_ptr<UsbDeviceModel> model_;
  const VhciPort place_;
  VhciBus& bus_;
  EventLoop& loop_;
  base::Clock& clock_;
  bool plugged_ = false;
  uint64_t times_left_ = 0;  // the bus, as of the last look
  uint64_t attaches_ = 0;    // how often the kernel was given the device
  base::UniqueFd socket_;    // valid while the kernel has the device
  std::optional<UsbIpSession> session_;
  std::vector<uint8_t> read_buffer_;
  uint32_t fastest_baud_ = 0;  // the host has set since the board was plugged in
  absl::Time first_byte_time_ = absl::InfinitePast();
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_VHCI_BOARD_H_
