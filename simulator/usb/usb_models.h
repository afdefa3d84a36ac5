#ifndef KILN_SIMULATOR_USB_USB_MODELS_H_
#define KILN_SIMULATOR_USB_USB_MODELS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "simulator/simulated_board.h"
#include "simulator/usb/usb_device_model.h"

namespace kiln::simulator {

// A board behind a USB adapter of the named kind, not plugged in yet. The FT2232H gets a second
// board at its port B, with the next MAC. INVALID_ARGUMENT: no such kind, or a chip without that
// kind of USB.
absl::StatusOr<std::unique_ptr<UsbDeviceModel>> MakeUsbModel(absl::string_view kind,
                                                             const BoardConfig& board);
// "cp2102", "ch340", …
std::vector<std::string> UsbModelKinds();

}  // namespace kiln::simulator

#endif  // KILN_SIMULATOR_USB_USB_MODELS_H_
