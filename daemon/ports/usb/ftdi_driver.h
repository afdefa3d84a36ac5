#ifndef KILN_DAEMON_PORTS_USB_FTDI_DRIVER_H_
#define KILN_DAEMON_PORTS_USB_FTDI_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/serial_driver.h"
#include "daemon/ports/usb/usb_descriptors.h"
#include "daemon/ports/usb/usb_device_handle.h"

namespace kiln::ports {

// FTDI's bridges: FT232B and R, FT2232, the high-speed H types and the X series (application notes
// AN232B-05, AN_120; request numbers as Linux' ftdi_sio and libftdi state them). Threads as
// UsbSerialDriver says.
class FtdiDriver final : public UsbSerialDriver {
 public:
  // `release` tells the chip; `handle` must outlive the driver.
  FtdiDriver(const UsbAdapter& adapter, const UsbSerialLayout& layout, uint16_t release,
             UsbDeviceHandle& handle);

  absl::Status Start() override;
  absl::Status SetBaudRate(uint32_t baud) override;
  absl::Status SetLines(bool dtr, bool rts) override;
  absl::Status SetResponsive(bool responsive) override;
  void Unpack(absl::Span<const uint8_t> transfer, std::vector<uint8_t>& bytes) override;
  void BeginDrain() override;
  absl::StatusOr<UsbOutput> Output() override;

 private:
  absl::Status Send(uint8_t request, uint16_t value, uint8_t index_high = 0);

  const UsbAdapter& adapter_;
  const bool high_speed_clock_;
  const uint8_t channel_;
  const size_t max_packet_;
  UsbDeviceHandle& handle_;
  absl::Mutex mutex_;
  // How many status reports have come, and whether the last said that the transmitter is empty.
  uint64_t reports_ ABSL_GUARDED_BY(mutex_) = 0;
  bool transmitter_empty_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t drain_began_at_ ABSL_GUARDED_BY(mutex_) = 0;
};

struct FtdiDivisor {
  uint32_t encoded;  // 14 bits of divisor, 3 of fraction, and the H types' clock select in bit 17
  double made;       // bits per second
};
// The divisor whose rate comes nearest to `baud` (at least 1).
FtdiDivisor FindFtdiDivisor(bool high_speed_clock, uint32_t baud);

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_FTDI_DRIVER_H_
