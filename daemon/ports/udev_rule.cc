#include "daemon/ports/udev_rule.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"

namespace kiln::ports {

std::string UdevRuleToInstall(uint16_t vendor, uint16_t product) {
  return absl::StrFormat(
      "install the udev rules 90-kiln.rules, or one for this adapter alone: SUBSYSTEMS==\"usb\", "
      "ATTRS{idVendor}==\"%04x\", ATTRS{idProduct}==\"%04x\", GROUP=\"kiln\", MODE=\"0660\"",
      vendor, product);
}

}  // namespace kiln::ports
