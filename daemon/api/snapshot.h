#ifndef KILN_DAEMON_API_SNAPSHOT_H_
#define KILN_DAEMON_API_SNAPSHOT_H_

#include "absl/status/statusor.h"
#include "daemon/api/api_parts.h"
#include "daemon/api/event_hub.h"
#include "kiln/v1/station.pb.h"

namespace kiln::api {

// The selection a filter of the contract stands for; RequestInvalid when it is malformed.
absl::StatusOr<EventSelection> SelectionOf(const v1::EventFilter& filter);

// The state of the station as far as `selection` wants it. `last_sequence` is read before
// everything else, so that events above it complete the picture: a deployment may be newer than
// that, never older. DeploymentNotFound when the one deployment selected does not exist.
absl::StatusOr<v1::Snapshot> TakeSnapshot(const ApiParts& parts, const EventSelection& selection);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_SNAPSHOT_H_
