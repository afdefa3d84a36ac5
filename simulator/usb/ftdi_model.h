#ifndef KILN_SIMULATOR_USB_FTDI_MODEL_H_
#define KILN_SIMULATOR_USB_FTDI_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/serial_peer.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// FTDI FT232R (one port) and FT2232H (two, at high speed), by their data sheets, application note
// AN232B-05 (divisors) and what Linux' ftdi_sio asks them. Every IN packet starts with two bytes of
// status; one goes out when it is full, or when the latency timer has run since the last one, with
// or without bytes in it.
class FtdiModel final : public UsbDeviceModel {
 public:
  // An FT232R.
  explicit FtdiModel(std::unique_ptr<SerialPeer> peer);
  // An FT2232H with what hangs at its ports A and B.
  FtdiModel(std::unique_ptr<SerialPeer> a, std::unique_ptr<SerialPeer> b);

  bool TakePacket(absl::Duration now, uint8_t endpoint, absl::Span<const uint8_t> packet) override;
  std::optional<Bytes> GivePacket(absl::Duration now, uint8_t endpoint) override;
  std::optional<absl::Duration> NextEvent() const override;

 private:
  struct Channel {
    absl::Duration last_packet = absl::ZeroDuration();
    bool asked = false;  // the host waits for a packet
  };

  std::optional<Bytes> Answer(absl::Duration now, const UsbSetup& setup,
                              absl::Span<const uint8_t> data) override;
  SerialPort* PortOfEndpoint(uint8_t endpoint) override;
  void ForgetSettings(absl::Duration now) override;

  // The port that the low byte of a request's index names.
  std::optional<size_t> PortOfIndex(uint16_t index) const;
  void Reset(absl::Duration now, SerialPort& port, uint16_t what);
  uint32_t DecodeRate(const UsbSetup& setup) const;
  static bool SetData(SerialPort& port, uint16_t value);
  static Bytes Status(absl::Duration now, const SerialPort& port);

  const bool high_speed_;
  std::vector<Channel> channels_;  // by serial port
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_FTDI_MODEL_H_
