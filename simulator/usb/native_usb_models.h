#ifndef KILN_SIMULATOR_USB_NATIVE_USB_MODELS_H_
#define KILN_SIMULATOR_USB_NATIVE_USB_MODELS_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/cdc_acm_model.h"
#include "simulator/usb/serial_peer.h"

namespace kiln::simulator {

// Espressif's USB-Serial/JTAG peripheral (303a:1001; chapter of that name in the technical
// reference manuals of ESP32-C3 and later). There are no lines: the host's line states are
// commands, and the peripheral stays on the bus when it resets the chip.
class UsbSerialJtagModel final : public CdcAcmModel {
 public:
  explicit UsbSerialJtagModel(const BoardConfig& config);
};

// A board whose USB is the chip's OTG peripheral (ESP32-S2, -S3, -P4). Whoever runs on the chip
// drives it: the ROM loader shows itself with the chip's product id, the program with another, and
// each reset takes the device from the bus. A program takes line states as commands and repeats its
// report of itself while DTR is asserted (once a second, unless the configuration has an interval),
// the ROM loader ignores them. A chip that runs neither (blank flash) is not on the bus at all.
class UsbOtgModel final : public CdcAcmModel {
 public:
  // Of the program: esp_tinyusb's usual product, a CDC device.
  static constexpr uint16_t kProgramProduct = 0x4001;

  // `config.chip` is one of the three. Without `program_has_usb` the board is seen in the ROM
  // loader only.
  explicit UsbOtgModel(const BoardConfig& config, bool program_has_usb = true);

  void Plug(absl::Duration now) override;
  void ResetBus(absl::Duration now) override;
  bool on_bus() const override { return plugged() && present_; }
  uint64_t times_left() const override { return times_left_; }
  void Advance(absl::Duration now) override;
  std::optional<absl::Duration> NextEvent() const override;

 private:
  class Peer;
  UsbOtgModel(const BoardConfig& config, bool program_has_usb, std::unique_ptr<Peer> peer);
  void Appear(absl::Duration now);

  const bool program_has_usb_;
  Peer& peer_;
  bool present_ = false;
  absl::Duration returns_at_ = absl::InfiniteDuration();
  uint64_t seen_resets_ = 0;
  uint64_t times_left_ = 0;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_NATIVE_USB_MODELS_H_
