#include "daemon/api/station_service.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "daemon/api/methods.h"
#include "daemon/api/page_token.h"
#include "daemon/api/request_time.h"
#include "daemon/api/rpc_error.h"
#include "daemon/api/snapshot.h"
#include "daemon/api/unary.h"
#include "daemon/api/watch_stream.h"
#include "daemon/pipeline/messages.h"
#include "google/protobuf/util/time_util.h"

namespace kiln::api {
namespace {

// More than any configuration lets wait.
constexpr int kCountLimit = 200'000;

absl::StatusOr<int> Count(const ApiParts& parts, storage::DeploymentState state) {
  storage::DeploymentQuery query;
  query.states = {state};
  query.limit = kCountLimit;
  ASSIGN_OR_RETURN(const std::vector<storage::Deployment> found,
                   parts.ledger->ListDeployments(query));
  return static_cast<int>(found.size());
}

}  // namespace

grpc::ServerUnaryReactor* StationService::GetStation(grpc::CallbackServerContext* context,
                                                     const v1::GetStationRequest* /*request*/,
                                                     v1::StationInfo* response) {
  return Answer<v1::StationInfo>(parts_, *parts_.quick, context, kGetStation, response,
                                 [this] { return Describe(); });
}

absl::StatusOr<v1::StationInfo> StationService::Describe() const {
  v1::StationInfo info;
  info.set_station_id(parts_.facts.station_id);
  info.set_version(parts_.facts.version);
  info.set_sqlite_version(storage::Ledger::SqliteVersion());
  info.set_ledger_schema(parts_.ledger->schema_version());
  *info.mutable_start_time() = google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(
      absl::ToUnixMicros(parts_.facts.start_time));
  ASSIGN_OR_RETURN(const int64_t last_sequence, parts_.ledger->LastSequence());
  info.set_last_sequence(last_sequence);
  info.set_ledger_path(parts_.facts.ledger_path);
  info.set_export_directory(parts_.facts.export_directory);
  for (const std::string& chip : parts_.facts.stub_chips) info.add_stub_chips(chip);
  info.set_draining(parts_.scheduler->draining());
  ASSIGN_OR_RETURN(const int pending, Count(parts_, storage::DeploymentState::kPending));
  ASSIGN_OR_RETURN(const int running, Count(parts_, storage::DeploymentState::kRunning));
  info.set_deployments_pending(pending);
  info.set_deployments_running(running);
  return info;
}

grpc::ServerUnaryReactor* StationService::GetHealth(grpc::CallbackServerContext* context,
                                                    const v1::GetHealthRequest* /*request*/,
                                                    v1::Health* response) {
  return Answer<v1::Health>(
      parts_, *parts_.quick, context, kGetHealth, response,
      [this]() -> absl::StatusOr<v1::Health> { return parts_.health->Evaluate(); });
}

grpc::ServerWriteReactor<v1::WatchEventsResponse>* StationService::WatchEvents(
    grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) {
  return WatchStream::Start(parts_, context, *request);
}

grpc::ServerUnaryReactor* StationService::ListEvents(grpc::CallbackServerContext* context,
                                                     const v1::ListEventsRequest* request,
                                                     v1::ListEventsResponse* response) {
  return Answer<v1::ListEventsResponse>(parts_, *parts_.quick, context, kListEvents, response,
                                        [this, request] { return List(*request); });
}

absl::StatusOr<v1::ListEventsResponse> StationService::List(
    const v1::ListEventsRequest& request) const {
  ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), 100));
  ASSIGN_OR_RETURN(const EventSelection selection, SelectionOf(request.filter()));
  if (request.after_sequence() < 0) {
    return FieldError("after_sequence", "must not be negative");
  }
  v1::ListEventsRequest query_only = request;
  query_only.clear_page_size();
  query_only.clear_page_token();
  const std::string bound = absl::StrCat("events:", query_only.SerializeAsString());
  ASSIGN_OR_RETURN(const std::string cursor, ParsePageToken(request.page_token(), bound));

  storage::EventQuery query;
  query.after_sequence = request.after_sequence();
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &query.after_sequence)) {
    return FieldError("page_token", "is not a token of this station");
  }
  query.kinds = selection.kinds;
  query.subject = selection.subject;
  query.limit = size + 1;  // one more tells whether there is a next page
  ASSIGN_OR_RETURN(std::vector<storage::EventRecord> records, parts_.ledger->ListEvents(query));

  v1::ListEventsResponse response;
  const bool more = records.size() > static_cast<size_t>(size);
  if (more) records.resize(size);
  for (const storage::EventRecord& record : records) {
    ASSIGN_OR_RETURN(*response.add_events(), pipeline::ToMessage(record));
  }
  if (more) {
    response.set_next_page_token(MakePageToken(bound, absl::StrCat(records.back().sequence)));
  }
  return response;
}

grpc::ServerUnaryReactor* StationService::VerifyLedger(grpc::CallbackServerContext* context,
                                                       const v1::VerifyLedgerRequest* /*request*/,
                                                       v1::VerifyLedgerResponse* response) {
  return Answer<v1::VerifyLedgerResponse>(parts_, *parts_.slow, context, kVerifyLedger, response,
                                          [this]() -> absl::StatusOr<v1::VerifyLedgerResponse> {
                                            ASSIGN_OR_RETURN(const storage::VerifyResult result,
                                                             parts_.ledger->Verify());
                                            v1::VerifyLedgerResponse verified;
                                            verified.set_ok(result.ok);
                                            verified.set_events_checked(result.events_checked);
                                            verified.set_head(result.head_hex);
                                            verified.set_problem(result.problem);
                                            return verified;
                                          });
}

grpc::ServerUnaryReactor* StationService::GetStatistics(grpc::CallbackServerContext* context,
                                                        const v1::GetStatisticsRequest* request,
                                                        v1::Statistics* response) {
  return Answer<v1::Statistics>(parts_, *parts_.quick, context, kGetStatistics, response,
                                [this, request] { return Tally(*request); });
}

absl::StatusOr<v1::Statistics> StationService::Tally(
    const v1::GetStatisticsRequest& request) const {
  absl::Time start = absl::FromUnixSeconds(0);
  // Beyond every time the ledger can hold, and still a number of microseconds.
  absl::Time end = absl::FromUnixSeconds(253'402'300'800);
  if (request.has_start_time()) {
    ASSIGN_OR_RETURN(start, TimeOf(request.start_time(), "start_time"));
  }
  if (request.has_end_time()) {
    ASSIGN_OR_RETURN(end, TimeOf(request.end_time(), "end_time"));
  }
  if (end < start) return FieldError("end_time", "must not be before start_time");
  ASSIGN_OR_RETURN(const storage::OutcomeCounts counts, parts_.ledger->CountOutcomes(start, end));
  const auto in = [&counts](storage::DeploymentState state) {
    return counts.by_state[static_cast<int>(state)];
  };
  using storage::DeploymentState;
  v1::Statistics statistics;
  statistics.set_pending(in(DeploymentState::kPending));
  statistics.set_running(in(DeploymentState::kRunning));
  statistics.set_succeeded(in(DeploymentState::kSucceeded));
  statistics.set_failed(in(DeploymentState::kFailed));
  statistics.set_canceled(in(DeploymentState::kCanceled));
  statistics.set_needs_attention(in(DeploymentState::kNeedsAttention));
  statistics.set_succeeded_first_attempt(counts.succeeded_first_attempt);
  const int64_t ended = statistics.succeeded() + statistics.failed() + statistics.needs_attention();
  if (ended > 0) {
    statistics.set_first_pass_yield(static_cast<double>(counts.succeeded_first_attempt) /
                                    static_cast<double>(ended));
  }
  return statistics;
}

}  // namespace kiln::api
