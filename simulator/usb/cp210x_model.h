#ifndef KILN_SIMULATOR_USB_CP210X_MODEL_H_
#define KILN_SIMULATOR_USB_CP210X_MODEL_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/serial_peer.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// Silicon Labs CP2102 and CP2102N, by their application notes AN571 (requests) and AN205 (rates),
// and by what Linux' cp210x asks them.
class Cp210xModel final : public UsbDeviceModel {
 public:
  enum class Part { kCp2102, kCp2102N };
  Cp210xModel(Part part, std::unique_ptr<SerialPeer> peer);

  bool TakePacket(absl::Duration now, uint8_t endpoint, absl::Span<const uint8_t> packet) override;
  std::optional<Bytes> GivePacket(absl::Duration now, uint8_t endpoint) override;

 private:
  std::optional<Bytes> Answer(absl::Duration now, const UsbSetup& setup,
                              absl::Span<const uint8_t> data) override;
  std::optional<Bytes> AnswerPartRequest(const UsbSetup& setup) const;
  SerialPort* PortOfEndpoint(uint8_t endpoint) override;
  void ForgetSettings(absl::Duration now) override;

  bool SetLineControl(uint16_t value);
  void SetFlow(absl::Duration now, absl::Span<const uint8_t> data);
  Bytes CommStatus(absl::Duration now);
  uint32_t Quantize(uint32_t baud) const;

  const Part part_;
  SerialPort& port_;
  uint16_t line_control_ = 0;
  std::array<uint8_t, 16> flow_ = {};
  std::array<uint8_t, 6> characters_ = {};
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_CP210X_MODEL_H_
