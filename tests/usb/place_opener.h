#ifndef KILN_TESTS_USB_PLACE_OPENER_H_
#define KILN_TESTS_USB_PLACE_OPENER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/usb/usb_context.h"

namespace kiln {

// Opens, with Kiln's own driver, the adapter at a place on this machine's bus, as sysfs names it
// ("1-2.3"). `context` must outlive the opener. NOT_FOUND when no adapter is there that Kiln has a
// driver for.
absl::StatusOr<std::unique_ptr<ports::StreamOpener>> OpenerOfPlace(ports::UsbContext& context,
                                                                   const std::string& name,
                                                                   uint8_t serial_port);

}  // namespace kiln

#endif  // KILN_TESTS_USB_PLACE_OPENER_H_
