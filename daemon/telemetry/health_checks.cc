#include "daemon/telemetry/health_checks.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kiln::telemetry {

HealthProbe WritableFolderProbe(const std::string& name, const std::string& path, bool critical,
                                base::FileSystem& file_system) {
  return {name, critical, [path, &file_system](std::string& message) -> absl::Status {
            RETURN_IF_ERROR(file_system.CheckWritable(path)) << "cannot write to " << path;
            message = absl::StrCat(path, " takes files.");
            return absl::OkStatus();
          }};
}

HealthProbe FreeSpaceProbe(const std::string& path, uint64_t minimum_bytes,
                           base::FileSystem& file_system) {
  return {"disk", /*critical=*/true,
          [path, minimum_bytes, &file_system](std::string& message) -> absl::Status {
            ASSIGN_OR_RETURN(const uint64_t free, file_system.FreeBytes(path));
            if (free < minimum_bytes) {
              return absl::ResourceExhaustedError(absl::StrCat("only ", free >> 20,
                                                               " MiB are free at ", path, "; ",
                                                               minimum_bytes >> 20, " are needed"));
            }
            message = absl::StrCat(free >> 20, " MiB are free at ", path, ".");
            return absl::OkStatus();
          }};
}

}  // namespace kiln::telemetry
