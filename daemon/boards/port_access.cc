#include "daemon/boards/port_access.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "daemon/ports/udev_rule.h"
#include "errors/error.h"

namespace kiln::boards {

absl::Status CheckAccess(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  // With the rights open() would have: the effective ones.
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0) return absl::OkStatus();
  if (errno != EACCES && errno != EPERM) return absl::OkStatus();
  return errors::MakeError(errors::ErrorCode::kPortPermission,
                           absl::StrCat("user ", ::geteuid(), " may not open ", path));
}

absl::Status WithUdevRule(const absl::Status& why, uint16_t vendor, uint16_t product) {
  if (!errors::Is(why, errors::ErrorCode::kPortPermission)) return why;
  return errors::MakeError(
      errors::ErrorCode::kPortPermission,
      absl::StrCat(std::string(why.message()), "; ", ports::UdevRuleToInstall(vendor, product)));
}

}  // namespace kiln::boards
