#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "daemon/ports/usb/usb_descriptors.h"

namespace {

void CheckLayout(const absl::StatusOr<kiln::ports::UsbSerialLayout>& layout) {
  if (!layout.ok()) return;
  // What the drivers and their buffers rely on.
  if (!layout->in.is_bulk || !layout->out.is_bulk) __builtin_trap();
  if (!layout->in.is_in() || layout->out.is_in()) __builtin_trap();
  if (layout->in.max_packet == 0 || layout->in.max_packet > 1024) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parsed = kiln::ports::ParseUsbDescriptors(absl::MakeSpan(data, size));
  if (!parsed.ok()) return 0;
  for (const auto& configuration : parsed->configurations) {
    for (uint8_t port = 0; port < 4; ++port) {
      CheckLayout(kiln::ports::FindVendorLayout(configuration, port));
      CheckLayout(kiln::ports::FindCdcLayout(configuration, port));
    }
  }
  return 0;
}
