#include "daemon/api/request_time.h"

#include "absl/status/statusor.h"
#include "daemon/api/rpc_error.h"

namespace kiln::api {

absl::StatusOr<absl::Time> TimeOf(const google::protobuf::Timestamp& timestamp,
                                  absl::string_view field) {
  // The range of google.protobuf.Timestamp: years 1 to 9999.
  if (timestamp.seconds() < -62'135'596'800 || timestamp.seconds() > 253'402'300'799 ||
      timestamp.nanos() < 0 || timestamp.nanos() > 999'999'999) {
    return FieldError(field, "is not a valid time");
  }
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

}  // namespace kiln::api
