#ifndef KILN_DAEMON_PORTS_USB_ADAPTERS_H_
#define KILN_DAEMON_PORTS_USB_ADAPTERS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "daemon/ports/byte_stream.h"

namespace kiln::ports {

// Which of Kiln's own drivers speaks to an adapter.
enum class UsbDriver {
  kCp210x,
  kCh34x,
  kFtdi,
  kCdcAcm,
  kKernelOnly,  // known, but only the kernel's tty serves it
};

// What is known of one USB serial adapter or chip with USB of its own. A device that is not in the
// table is foreign: it is never opened.
struct UsbAdapter {
  uint16_t vendor;
  uint16_t product;
  absl::string_view name;  // for people: "CP2102"
  UsbDriver driver;
  LinkKind link;
  uint8_t serial_ports;  // 1 to 4; how many terminals the device has
  uint32_t max_baud;  // the fastest rate the fastest chip with these ids makes, in bits per second
  uint16_t fifo_bytes;  // the most it may still hold when it has taken everything; see Drain
  // Kiln's own driver has measured better than the kernel's; where both measured alike, the
  // kernel's is preferred (docs/performance.md, "The USB drivers").
  bool own_driver_better = false;
};

// Null for foreign devices.
const UsbAdapter* FindUsbAdapter(uint16_t vendor, uint16_t product);
// As above. In addition, any device of Espressif's with a CDC interface is a chip's own USB-OTG:
// firmware chooses its product id itself.
const UsbAdapter* FindUsbAdapter(uint16_t vendor, uint16_t product, bool has_cdc_interface);
absl::Span<const UsbAdapter> AllUsbAdapters();

}  // namespace kiln::ports

#endif  // KILN_DAEMON_PORTS_USB_ADAPTERS_H_
