#ifndef KILN_SIMULATOR_USB_CDC_ACM_MODEL_H_
#define KILN_SIMULATOR_USB_CDC_ACM_MODEL_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/serial_peer.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// The abstract control model of USB's communications class (CDC 1.1; PSTN 1.2, 6.3): commands at
// the first interface, data at the second. As such, a WCH CH9102.
class CdcAcmModel : public UsbDeviceModel {
 public:
  // A CH9102.
  explicit CdcAcmModel(std::unique_ptr<SerialPeer> peer);

  bool TakePacket(absl::Duration now, uint8_t endpoint, absl::Span<const uint8_t> packet) override;
  std::optional<Bytes> GivePacket(absl::Duration now, uint8_t endpoint) override;

 protected:
  struct Identity {
    uint16_t vendor;
    uint16_t product;
    uint16_t release;
    std::string manufacturer;
    std::string name;
    std::string serial;
    bool has_jtag = false;  // Espressif's third interface
  };
  struct Endpoints {
    uint8_t in;
    uint8_t out;
    uint8_t interrupt;
  };
  // `has_uart`: whether the rate the host sets is that of a wire.
  CdcAcmModel(const Identity& identity, const Endpoints& endpoints, bool has_uart,
              std::unique_ptr<SerialPeer> peer);

  void SetIdentity(const Identity& identity);
  SerialPort& port() { return port_; }

 private:
  std::optional<Bytes> Answer(absl::Duration now, const UsbSetup& setup,
                              absl::Span<const uint8_t> data) override;
  SerialPort* PortOfEndpoint(uint8_t endpoint) override;
  void ForgetSettings(absl::Duration now) override;
  bool SetLineCoding(absl::Span<const uint8_t> data);

  const Endpoints endpoints_;
  const bool has_uart_;
  SerialPort& port_;
  std::array<uint8_t, 7> line_coding_ = {};
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_CDC_ACM_MODEL_H_
