#ifndef KILN_SIMULATOR_USB_CH340_MODEL_H_
#define KILN_SIMULATOR_USB_CH340_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/serial_peer.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// WCH CH340: two registers written with one request, a rate made of prescaler and divisor, modem
// lines that are inverted. WCH publishes no requests; this follows what Linux' ch341 and FreeBSD's
// uchcom send to the chip. (The CH9102 is another kind: see CdcAcmModel.)
class Ch340Model final : public UsbDeviceModel {
 public:
  explicit Ch340Model(std::unique_ptr<SerialPeer> peer);

  bool TakePacket(absl::Duration now, uint8_t endpoint, absl::Span<const uint8_t> packet) override;
  std::optional<Bytes> GivePacket(absl::Duration now, uint8_t endpoint) override;

 private:
  std::optional<Bytes> Answer(absl::Duration now, const UsbSetup& setup,
                              absl::Span<const uint8_t> data) override;
  SerialPort* PortOfEndpoint(uint8_t endpoint) override;
  void ForgetSettings(absl::Duration now) override;

  void WriteRegister(uint8_t number, uint8_t value);
  uint8_t ReadRegister(uint8_t number) const;
  void ApplyRate();
  void ApplyFrame();

  SerialPort& port_;
  uint8_t prescaler_ = 0;
  uint8_t divisor_ = 0;
  uint8_t line_control_ = 0;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_CH340_MODEL_H_
