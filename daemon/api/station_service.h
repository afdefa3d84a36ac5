#ifndef KILN_DAEMON_API_STATION_SERVICE_H_
#define KILN_DAEMON_API_STATION_SERVICE_H_

#include "daemon/api/api_parts.h"
#include "kiln/v1/station.grpc.pb.h"

namespace kiln::api {

// kiln.v1.Station. Rejections: RequestInvalid for malformed filters, names, tokens and intervals;
// SequenceOutOfRange for a resume point that is not kept; ReaderTooSlow and StationDraining end
// streams. Owned by the API server.
class StationService final : public v1::Station::CallbackService {
 public:
  explicit StationService(const ApiParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* GetStation(grpc::CallbackServerContext* context,
                                       const v1::GetStationRequest* request,
                                       v1::StationInfo* response) override;
  grpc::ServerUnaryReactor* GetHealth(grpc::CallbackServerContext* context,
                                      const v1::GetHealthRequest* request,
                                      v1::Health* response) override;
  grpc::ServerWriteReactor<v1::WatchEventsResponse>* WatchEvents(
      grpc::CallbackServerContext* context, const v1::WatchEventsRequest* request) override;
  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context,
                                       const v1::ListEventsRequest* request,
                                       v1::ListEventsResponse* response) override;
  grpc::ServerUnaryReactor* VerifyLedger(grpc::CallbackServerContext* context,
                                         const v1::VerifyLedgerRequest* request,
                                         v1::VerifyLedgerResponse* response) override;
  grpc::ServerUnaryReactor* GetStatistics(grpc::CallbackServerContext* context,
                                          const v1::GetStatisticsRequest* request,
                                          v1::Statistics* response) override;

 private:
  absl::StatusOr<v1::StationInfo> Describe() const;
  absl::StatusOr<v1::Statistics> Tally(const v1::GetStatisticsRequest& request) const;
  absl::StatusOr<v1::ListEventsResponse> List(const v1::ListEventsRequest& request) const;

  const ApiParts& parts_;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_STATION_SERVICE_H_
