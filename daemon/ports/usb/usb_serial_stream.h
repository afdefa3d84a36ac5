#ifndef KILN_DAEMON_PORTS_USB_USB_SERIAL_STREAM_H_
#define KILN_DAEMON_PORTS_USB_USB_SERIAL_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// A serial line through a USB adapter that Kiln's own driver speaks to. Threads as ByteStream says.
// Closing leaves the modem lines as they are, so that it resets no board.
class UsbSerialStream final : public ByteStream {
 public:
  // Sets the adapter up: 115200 8N1, both lines asserted in one request, as every terminal driver
  // leaves them on opening (an auto-reset circuit sees nothing in that; firmware with USB of its
  // own waits for DTR). `address` is for error texts; `clock` must outlive the stream.
  static absl::StatusOr<std::unique_ptr<UsbSerialStream>> Start(
      std::unique_ptr<UsbDeviceHandle> handle, const UsbAdapter& adapter,
      const UsbSerialLayout& layout, uint16_t release, std::string address, base::Clock& clock);
  ~UsbSerialStream() override;

  LinkTraits traits() const override;
  absl::StatusOr<size_t> Read(absl::Span<uint8_t> buffer, absl::Duration timeout) override;
  absl::Status Write(absl::Span<const uint8_t> bytes, absl::Duration timeout) override;
  // Also waits for the adapter's own buffer: where the adapter tells, until it is empty, otherwise
  // for as long as what it can hold takes at the present rate.
  absl::Status Drain(absl::Duration timeout) override;
  absl::Status DiscardInput() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  absl::Status SetLines(bool dtr, bool rts) override;
  void Interrupt() override;

 private:
  struct Parts;

  UsbSerialStream(std::unique_ptr<Parts> parts, const UsbAdapter& adapter, std::string address,
                  base::Clock& clock);
  absl::Status AwaitEmptyAdapter(absl::Duration deadline);
  // How long the line is busy with this many bytes.
  absl::Duration LineTime(size_t bytes) const;
  // Tells the driver that an answer may come at any moment, unless it knows.
  absl::Status BecomeResponsive();
  // Tells it that none is due before `until`, of the clock's.
  void Relax(absl::Duration until);

  std::unique_ptr<Parts> parts_;
  const UsbAdapter& adapter_;
  const std::string address_;
  base::Clock& clock_;
  uint32_t baud_ = 0;
  size_t undrained_ = 0;          // bytes written since the adapter was known to be empty
  absl::Duration line_free_;      // by the clock; the soonest that all written bytes have left
  bool responsive_ = true;        // the driver was told to be
  absl::Duration relaxed_until_;  // by the clock; unless responsive_
  absl::Duration active_;         // when a byte was last known to come, to go, or to be on its way
};

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_USB_SERIAL_STREAM_H_
