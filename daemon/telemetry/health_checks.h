#ifndef KILN_DAEMON_TELEMETRY_HEALTH_CHECKS_H_
#define KILN_DAEMON_TELEMETRY_HEALTH_CHECKS_H_

#include <cstdint>
#include <string>

#include "base/file_system.h"
#include "daemon/telemetry/health.h"

namespace kiln::telemetry {

// Passes while files can be made in `path`. `file_system` must outlive the probe.
HealthProbe WritableFolderProbe(const std::string& name, const std::string& path, bool critical,
                                base::FileSystem& file_system);

// Passes while the disk of `path` has at least `minimum_bytes` free.
HealthProbe FreeSpaceProbe(const std::string& path, uint64_t minimum_bytes,
                           base::FileSystem& file_system);

}  // namespace kiln::telemetry

#endif  // KILN_DAEMON_TELEMETRY_HEALTH_CHECKS_H_
