#ifndef KILN_DAEMON_PIPELINE_MESSAGES_H_
#define KILN_DAEMON_PIPELINE_MESSAGES_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/boards/registry.h"
#include "daemon/firmware/bundle.h"
#include "errors/error.h"
#include "kiln/v1/station.pb.h"
#include "storage/ledger.h"

// The station's values as messages of the contract: the one place where the two meet.
namespace kiln::pipeline {

// Longest detail of a failure that is kept and shown, in bytes. A step's own sentence has a few
// hundred.
inline constexpr size_t kMaxDetailBytes = 2000;

// `detail` is made valid UTF-8 and cut to kMaxDetailBytes.
v1::Failure ToMessage(errors::ErrorCode code, const std::string& detail);
// Never holds the WiFi password.
v1::Deployment ToMessage(const storage::Deployment& deployment);
// `running` is the id of the deployment that uses the port, or empty.
v1::Board ToMessage(const boards::BoardInfo& board, const std::string& running);
v1::Bundle ToMessage(const firmware::Bundle& bundle);
// The stored event with its sequence and time filled in; without a body when the payload does not
// parse.
absl::StatusOr<v1::Event> ToMessage(const storage::EventRecord& record);

// In whole microseconds.
void SetTimestamp(google::protobuf::Timestamp* message, absl::Time time);

// Drafts for the ledger.
storage::EventDraft DraftOf(const v1::Event& event, const std::string& subject);
// The payload of a deployment's event, for storage::PayloadOf.
std::string DeploymentPayload(const storage::Deployment& deployment);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_MESSAGES_H_
