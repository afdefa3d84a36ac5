#ifndef KILN_SIMULATOR_USB_USB_DEVICE_MODEL_H_
#define KILN_SIMULATOR_USB_USB_DEVICE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "simulator/usb/serial_port.h"

namespace kiln::simulator {

// What opens a control transfer (USB 2.0, table 9-2).
struct UsbSetup {
  uint8_t type = 0;     // bmRequestType
  uint8_t request = 0;  // bRequest
  uint16_t value = 0;
  uint16_t index = 0;
  uint16_t length = 0;

  bool to_host() const { return (type & 0x80) != 0; }
};

enum class UsbSpeed { kFull, kHigh };  // 12 and 480 Mbit/s

// A USB device made of software: descriptors, control requests, and endpoints as packets travel on
// the bus, with a serial port and a board behind each interface that carries data. Knows nothing of
// how a host reaches it: a front (a mocked usbfs, USB/IP) carries requests and packets, best
// through UsbTransferQueue. Deterministic and single-threaded like the board: its owner tells it
// the time with every call, never going back. Nothing is shared with the station's drivers, so that
// the two cannot be wrong in the same way.
class UsbDeviceModel {
 public:
  using Bytes = std::vector<uint8_t>;

  virtual ~UsbDeviceModel() = default;
  UsbDeviceModel(const UsbDeviceModel&) = delete;
  UsbDeviceModel& operator=(const UsbDeviceModel&) = delete;

  // The device descriptor (18 bytes) and the whole configuration descriptor, as they are now: a
  // chip with USB of its own may come back as another device.
  const Bytes& device_descriptor() const { return device_descriptor_; }
  const Bytes& configuration_descriptor() const { return configuration_descriptor_; }
  uint16_t vendor() const;
  uint16_t product() const;
  // The string descriptor `index` as text; empty when there is none.
  std::string String(uint8_t index) const;
  UsbSpeed speed() const { return speed_; }
  // The largest packet of a data or interrupt endpoint (its address with the direction bit); 0 when
  // the device has no such endpoint.
  uint16_t MaxPacket(uint8_t endpoint) const;
  // As the host has set it; 0 before.
  uint8_t configuration() const { return configuration_; }

  // Gives or takes the supply of device and boards. A plugged device has forgotten everything the
  // host had set, except what a real one keeps.
  virtual void Plug(absl::Duration now);
  void Unplug();
  // A bus reset: the host's settings of the device are gone, the boards run on.
  virtual void ResetBus(absl::Duration now);

  // Whether the device shows itself on the bus. Devices with USB of their own leave it and come
  // back while they are plugged in: the front plays an unplug when `times_left` has grown, and a
  // plug (reading the descriptors again) when `on_bus` is true after that. NextEvent tells when to
  // look.
  virtual bool on_bus() const { return plugged_; }
  virtual uint64_t times_left() const { return 0; }

  // A control transfer. `data` is what the host sends along (empty for reads). Returns the answer,
  // at most `setup.length` bytes and empty for writes; nothing when the device stalls the request.
  std::optional<Bytes> Control(absl::Duration now, const UsbSetup& setup,
                               absl::Span<const uint8_t> data);

  // One packet from the host, at most MaxPacket bytes, perhaps none. False when the device has no
  // room for it (NAK): to be sent again at NextEvent.
  virtual bool TakePacket(absl::Duration now, uint8_t endpoint,
                          absl::Span<const uint8_t> packet) = 0;
  // One packet for the host, which asks at `endpoint`: an empty one is a packet, too. Nothing when
  // the device has none now (NAK).
  virtual std::optional<Bytes> GivePacket(absl::Duration now, uint8_t endpoint) = 0;
  // Whether the host keeps asking at an IN endpoint. What a board says while it does not is kept up
  // to the device's buffer, and lost beyond.
  void SetListening(absl::Duration now, uint8_t endpoint, bool listening);

  // Lets everything happen that is due by `now`.
  virtual void Advance(absl::Duration now);
  // When something may have changed next without the host; nothing while the device waits.
  virtual std::optional<absl::Duration> NextEvent() const;

  // Whether a board's fault asks for the device to be pulled; true once.
  bool TakeUnplugRequest();

  size_t serial_ports() const { return ports_.size(); }
  SerialPort& serial_port(size_t index) { return *ports_.at(index); }
  const SerialPort& serial_port(size_t index) const { return *ports_.at(index); }

 protected:
  explicit UsbDeviceModel(UsbSpeed speed) : speed_(speed) {}

  // Answers a class or vendor request; nothing stalls it. Write requests carry exactly
  // `setup.length` bytes of `data`.
  virtual std::optional<Bytes> Answer(absl::Duration now, const UsbSetup& setup,
                                      absl::Span<const uint8_t> data) = 0;
  // The serial port whose bytes come from an IN endpoint; null for interrupt endpoints.
  virtual SerialPort* PortOfEndpoint(uint8_t endpoint) = 0;
  // Called on Plug and ResetBus: settings go back to those of the powered-up device.
  virtual void ForgetSettings(absl::Duration now) = 0;

  void SetDescriptors(Bytes device, Bytes configuration);
  void SetString(uint8_t index, absl::string_view text);
  SerialPort& AddPort(std::unique_ptr<SerialPort> port);
  bool plugged() const { return plugged_; }

 private:
  std::optional<Bytes> AnswerStandard(const UsbSetup& setup) const;
  std::optional<Bytes> Descriptor(uint8_t type, uint8_t index) const;

  const UsbSpeed speed_;
  Bytes device_descriptor_;
  Bytes configuration_descriptor_;
  std::map<uint8_t, std::string> strings_;
  std::vector<std::unique_ptr<SerialPort>> ports_;
  bool plugged_ = false;
  uint8_t configuration_ = 0;
};

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_USB_DEVICE_MODEL_H_
