#ifndef KILN_DAEMON_API_REQUEST_TIME_H_
#define KILN_DAEMON_API_REQUEST_TIME_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace kiln::api {

// A time in a request; RequestInvalid naming `field` when it is none.
absl::StatusOr<absl::Time> TimeOf(const google::protobuf::Timestamp& timestamp,
                                  absl::string_view field);

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_REQUEST_TIME_H_
