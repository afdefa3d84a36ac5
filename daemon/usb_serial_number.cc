#include "daemon/usb_serial_number.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "daemon/boards/usb_attributes.h"

namespace kiln::daemon {
namespace {

constexpr size_t kMacDigits = 12;
// A MAC with its colons and the kernel's line end is shorter; what is longer is none.
constexpr size_t kMaxAttribute = 32;

}  // namespace

std::string MacOfUsbSerialNumber(const std::string& sysfs_root, const std::string& topology) {
  // No path out of the folder: the name is one of a place on the bus.
  if (!boards::ParseTopology(topology).has_value()) return "";
  const std::string path = absl::StrCat(sysfs_root, "/bus/usb/devices/", topology, "/serial");
  // Not blocking: in place of a file of sysfs there might be anything.
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return "";
  std::array<char, kMaxAttribute> buffer;
  const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
  if (size <= 0) return "";
  std::string digits(absl::StripTrailingAsciiWhitespace(
      absl::string_view(buffer.data(), static_cast<size_t>(size))));
  digits.erase(std::remove(digits.begin(), digits.end(), ':'), digits.end());
  if (digits.size() != kMacDigits || !absl::c_all_of(digits, absl::ascii_isxdigit)) return "";
  for (size_t i = kMacDigits - 2; i > 0; i -= 2) digits.insert(i, ":");
  return absl::AsciiStrToLower(digits);
}

}  // namespace kiln::daemon
