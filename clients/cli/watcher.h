#ifndef KILN_CLIENTS_CLI_WATCHER_H_
#define KILN_CLIENTS_CLI_WATCHER_H_

#include <grpcpp/grpcpp.h>

#include <functional>

#include "clients/cli/session.h"
#include "kiln/v1/station.pb.h"

namespace kiln::cli {

// Follows WatchEvents until `take` answers false, across restarts of the station: after a lost
// connection it resumes behind the last sequence number it saw, and where that is no longer kept it
// starts anew with a snapshot. Gives up after `patience` without any message. Blocks the caller.
grpc::Status Watch(Session& session, const v1::WatchEventsRequest& request, absl::Duration patience,
                   const std::function<bool(const v1::WatchEventsResponse&)>& take);

}  // namespace kiln::cli

#endif  // KILN_CLIENTS_CLI_WATCHER_H_
