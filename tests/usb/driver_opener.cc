#include "tests/usb/driver_opener.h"

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "daemon/ports/byte_stream.h"
#include "daemon/ports/kernel_tty.h"
#include "daemon/ports/usb/adapters.h"
#include "daemon/ports/usb/usb_context.h"
#include "daemon/ports/usb/usb_serial.h"

namespace kiln {
namespace {

uint16_t ReadId(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  uint32_t id = 0;
  return absl::SimpleHexAtoi(word, &id) ? static_cast<uint16_t>(id) : uint16_t{0};
}

absl::StatusOr<ports::UsbPlace> ParsePlace(const std::string& name, const std::string& folder) {
  const std::vector<std::string> halves = absl::StrSplit(name, '-');
  uint32_t number = 0;
  ports::UsbPlace place;
  if (halves.size() != 2 || !absl::SimpleAtoi(halves[0], &number) || number > 255) {
    return absl::InvalidArgumentError("a place looks like 1-2.3");
  }
  place.bus = static_cast<uint8_t>(number);
  for (const std::string& port : std::vector<std::string>(absl::StrSplit(halves[1], '.'))) {
    if (!absl::SimpleAtoi(port, &number) || number > 255) {
      return absl::InvalidArgumentError("a place looks like 1-2.3");
    }
    place.hub_ports.push_back(static_cast<uint8_t>(number));
  }
  place.vendor = ReadId(folder + "/idVendor");
  place.product = ReadId(folder + "/idProduct");
  return place;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ports::StreamOpener>> OpenerOf(
    const std::string& port, std::unique_ptr<ports::UsbContext>& context) {
  if (absl::StartsWith(port, "/")) return std::make_unique<ports::KernelTtyOpener>(port);
  ASSIGN_OR_RETURN(context, ports::UsbContext::Create());
  ASSIGN_OR_RETURN(const ports::UsbPlace place, ParsePlace(port, "/sys/bus/usb/devices/" + port));
  const ports::UsbAdapter* adapter = ports::FindUsbAdapter(place.vendor, place.product, true);
  if (adapter == nullptr || adapter->driver == ports::UsbDriver::kKernelOnly) {
    return absl::NotFoundError("no adapter of Kiln's own drivers is there");
  }
  return ports::MakeUsbSerialOpener(*context, base::SystemClock(), place, *adapter);
}

}  // namespace kiln
