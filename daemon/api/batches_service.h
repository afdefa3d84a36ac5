#ifndef KILN_DAEMON_API_BATCHES_SERVICE_H_
#define KILN_DAEMON_API_BATCHES_SERVICE_H_

#include "daemon/api/api_parts.h"
#include "kiln/v1/batches.grpc.pb.h"

namespace kiln::api {

// kiln.v1.Batches. Rejections of its own: RequestInvalid for malformed names, request ids, tokens
// and states; everything else is the pipeline's and the ledger's. Owned by the API server.
class BatchesService final : public v1::Batches::CallbackService {
 public:
  explicit BatchesService(const ApiParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* CreateBatch(grpc::CallbackServerContext* context,
                                        const v1::CreateBatchRequest* request,
                                        v1::Batch* response) override;
  grpc::ServerUnaryReactor* GetBatch(grpc::CallbackServerContext* context,
                                     const v1::GetBatchRequest* request,
                                     v1::Batch* response) override;
  grpc::ServerUnaryReactor* ListBatches(grpc::CallbackServerContext* context,
                                        const v1::ListBatchesRequest* request,
                                        v1::ListBatchesResponse* response) override;
  grpc::ServerUnaryReactor* PauseBatch(grpc::CallbackServerContext* context,
                                       const v1::PauseBatchRequest* request,
                                       v1::Batch* response) override;
  grpc::ServerUnaryReactor* ResumeBatch(grpc::CallbackServerContext* context,
                                        const v1::ResumeBatchRequest* request,
                                        v1::Batch* response) override;
  grpc::ServerUnaryReactor* EndBatch(grpc::CallbackServerContext* context,
                                     const v1::EndBatchRequest* request,
                                     v1::Batch* response) override;
  grpc::ServerUnaryReactor* AllowBatchBoard(grpc::CallbackServerContext* context,
                                            const v1::AllowBatchBoardRequest* request,
                                            v1::Batch* response) override;
  grpc::ServerUnaryReactor* ListBatchSlots(grpc::CallbackServerContext* context,
                                           const v1::ListBatchSlotsRequest* request,
                                           v1::ListBatchSlotsResponse* response) override;

 private:
  absl::StatusOr<v1::Batch> Create(const v1::CreateBatchRequest& request) const;
  absl::StatusOr<v1::ListBatchesResponse> List(const v1::ListBatchesRequest& request) const;
  absl::StatusOr<v1::ListBatchSlotsResponse> Slots(const v1::ListBatchSlotsRequest& request) const;

  const ApiParts& parts_;
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_BATCHES_SERVICE_H_
