#include "simulator/usb/vhci_bus.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace kiln::simulator {
namespace {

// The kernel's VDEV_ST_NULL: nothing is plugged in.
constexpr absl::string_view kFreeState = "004";
// Of a kernel; Debian's has 8.
constexpr int kMaxControllers = 128;
// enum usb_device_speed of the kernel.
constexpr int kFullSpeed = 2;
constexpr int kHighSpeed = 3;
// Bus and device number at the host that exports it, which is nowhere.
constexpr uint32_t kDeviceId = 0x10002;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string VhciBus::Platform(int controller) const {
  return absl::StrCat(root_, "/devices/platform/vhci_hcd.", controller);
}

absl::StatusOr<VhciPort> VhciBus::Reserve() {
  std::error_code error;
  if (!std::filesystem::exists(Platform(0), error)) {
    return absl::NotFoundError("this kernel has no virtual USB: modprobe vhci_hcd, as root");
  }
  for (int controller = 0; controller < kMaxControllers; ++controller) {
    // The first controller's folder tells of all: status, status.1 …
    const std::string status = ReadFile(
        absl::StrCat(Platform(0), "/status", controller == 0 ? "" : absl::StrCat(".", controller)));
    if (status.empty()) break;
    int index = 0;
    for (const absl::string_view line : absl::StrSplit(status, '\n')) {
      // "hs  0000 004 000 00000000 000000 0-0": kind of port, its number, its state, …
      const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (words.size() < 3 || words[0] != "hs") continue;
      ++index;
      int number = 0;
      if (!absl::SimpleAtoi(words[1], &number) || words[2] != kFreeState) continue;
      if (!given_.insert(number).second) continue;
      ASSIGN_OR_RETURN(const int bus, BusNumber(controller));
      return VhciPort{number, absl::StrCat(bus, "-", index)};
    }
  }
  return absl::ResourceExhaustedError("all ports of the virtual USB are taken");
}

absl::StatusOr<int> VhciBus::BusNumber(int controller) const {
  std::error_code error;
  for (std::filesystem::directory_iterator it(Platform(controller), error), end;
       !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    int bus = 0;
    if (name.rfind("usb", 0) != 0 || !absl::SimpleAtoi(name.substr(3), &bus)) continue;
    if (ReadFile(it->path().string() + "/speed") == "480\n") return bus;
  }
  return absl::NotFoundError(absl::StrCat("no bus at ", Platform(controller)));
}

absl::Status VhciBus::Attach(const VhciPort& port, int socket, UsbSpeed speed) {
  const std::string path = absl::StrCat(Platform(0), "/attach");
  const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) {
    const std::string words = absl::StrCat(path, ": ", std::strerror(errno));
    return errno == EACCES ? absl::PermissionDeniedError(words) : absl::NotFoundError(words);
  }
  const std::string text = absl::StrCat(port.number, " ", socket, " ", kDeviceId, " ",
                                        speed == UsbSpeed::kHigh ? kHighSpeed : kFullSpeed);
  if (::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
    return absl::OkStatus();
  }
  const std::string words = absl::StrCat("plugging in at port ", port.number,
                                         " of the virtual USB: ", std::strerror(errno));
  return errno == EBUSY ? absl::UnavailableError(words) : absl::InternalError(words);
}

}  // namespace kiln::simulator
