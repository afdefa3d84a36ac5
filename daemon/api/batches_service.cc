#include "daemon/api/batches_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "daemon/api/methods.h"
#include "daemon/api/page_token.h"
#include "daemon/api/resource_name.h"
#include "daemon/api/rpc_error.h"
#include "daemon/api/unary.h"
#include "daemon/pipeline/batches.h"

namespace kiln::api {
namespace {

identity::Customer CustomerOf(const v1::Customer& customer) {
  return {customer.organization(), customer.customer_id(), customer.application_name(),
          customer.expiry_date()};
}

}  // namespace

grpc::ServerUnaryReactor* BatchesService::CreateBatch(grpc::CallbackServerContext* context,
                                                      const v1::CreateBatchRequest* request,
                                                      v1::Batch* response) {
  return Answer<v1::Batch>(parts_, *parts_.quick, context, kCreateBatch, response,
                           [this, request] { return Create(*request); });
}

absl::StatusOr<v1::Batch> BatchesService::Create(const v1::CreateBatchRequest& request) const {
  RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  if (request.has_customer() && request.customers_size() > 0) {
    return FieldError("customers", "must be empty when there is one customer for all");
  }
  if (!request.has_customer() && request.customers_size() == 0) {
    return FieldError("customer", "is missing");
  }
  if (request.customers_size() > pipeline::kMaxBatchCount) {
    return FieldError("customers", absl::StrCat("must be at most ", pipeline::kMaxBatchCount));
  }
  pipeline::BatchOrder order;
  order.request_id = absl::AsciiStrToLower(request.request_id());
  order.one_customer = request.has_customer();
  order.count = request.count();
  if (order.one_customer) {
    order.customers.push_back(CustomerOf(request.customer()));
  } else {
    if (order.count == 0) order.count = request.customers_size();
    for (const v1::Customer& customer : request.customers()) {
      order.customers.push_back(CustomerOf(customer));
    }
  }
  ASSIGN_OR_RETURN(order.bundle, BundleIdOf(request.bundle(), "bundle"));
  order.ports.assign(request.ports().begin(), request.ports().end());
  ASSIGN_OR_RETURN(const storage::Batch batch,
                   parts_.batches->Create(order, request.validate_only()));
  return pipeline::ToMessage(batch);
}

grpc::ServerUnaryReactor* BatchesService::GetBatch(grpc::CallbackServerContext* context,
                                                   const v1::GetBatchRequest* request,
                                                   v1::Batch* response) {
  return Answer<v1::Batch>(
      parts_, *parts_.quick, context, kGetBatch, response,
      [this, request]() -> absl::StatusOr<v1::Batch> {
        ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), "batches"));
        ASSIGN_OR_RETURN(const storage::Batch batch, parts_.ledger->GetBatch(id));
        return pipeline::ToMessage(batch);
      });
}

grpc::ServerUnaryReactor* BatchesService::ListBatches(grpc::CallbackServerContext* context,
                                                      const v1::ListBatchesRequest* request,
                                                      v1::ListBatchesResponse* response) {
  return Answer<v1::ListBatchesResponse>(parts_, *parts_.quick, context, kListBatches, response,
                                         [this, request] { return List(*request); });
}

absl::StatusOr<v1::ListBatchesResponse> BatchesService::List(
    const v1::ListBatchesRequest& request) const {
  ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), 50));
  storage::BatchQuery query;
  std::string bound = "batches:";
  for (const int state : request.states()) {
    if (!v1::Batch::State_IsValid(state) || state == v1::Batch::STATE_UNSPECIFIED) {
      return FieldError("states", absl::StrCat("has no state ", state));
    }
    // The contract and the ledger share their numbers.
    query.states.push_back(static_cast<storage::BatchState>(state));
    absl::StrAppend(&bound, state, ",");
  }
  ASSIGN_OR_RETURN(query.older_than_id, ParsePageToken(request.page_token(), bound));
  query.limit = size + 1;  // one more tells whether there is a next page
  ASSIGN_OR_RETURN(std::vector<storage::Batch> found, parts_.ledger->ListBatches(query));
  v1::ListBatchesResponse response;
  if (found.size() > static_cast<size_t>(size)) {
    found.resize(size);
    response.set_next_page_token(MakePageToken(bound, found.back().id));
  }
  for (const storage::Batch& batch : found) *response.add_batches() = pipeline::ToMessage(batch);
  return response;
}

grpc::ServerUnaryReactor* BatchesService::PauseBatch(grpc::CallbackServerContext* context,
                                                     const v1::PauseBatchRequest* request,
                                                     v1::Batch* response) {
  return Answer<v1::Batch>(
      parts_, *parts_.quick, context, kPauseBatch, response,
      [this, request]() -> absl::StatusOr<v1::Batch> {
        ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), "batches"));
        ASSIGN_OR_RETURN(const storage::Batch batch, parts_.batches->Pause(id));
        return pipeline::ToMessage(batch);
      });
}

grpc::ServerUnaryReactor* BatchesService::ResumeBatch(grpc::CallbackServerContext* context,
                                                      const v1::ResumeBatchRequest* request,
                                                      v1::Batch* response) {
  return Answer<v1::Batch>(
      parts_, *parts_.quick, context, kResumeBatch, response,
      [this, request]() -> absl::StatusOr<v1::Batch> {
        ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), "batches"));
        ASSIGN_OR_RETURN(const storage::Batch batch, parts_.batches->Resume(id));
        return pipeline::ToMessage(batch);
      });
}

grpc::ServerUnaryReactor* BatchesService::EndBatch(grpc::CallbackServerContext* context,
                                                   const v1::EndBatchRequest* request,
                                                   v1::Batch* response) {
  return Answer<v1::Batch>(parts_, *parts_.quick, context, kEndBatch, response,
                           [this, request]() -> absl::StatusOr<v1::Batch> {
                             ASSIGN_OR_RETURN(const std::string id,
                                              ParseResourceName(request->name(), "batches"));
                             ASSIGN_OR_RETURN(const storage::Batch batch, parts_.batches->End(id));
                             return pipeline::ToMessage(batch);
                           });
}

grpc::ServerUnaryReactor* BatchesService::AllowBatchBoard(grpc::CallbackServerContext* context,
                                                          const v1::AllowBatchBoardRequest* request,
                                                          v1::Batch* response) {
  return Answer<v1::Batch>(parts_, *parts_.quick, context, kAllowBatchBoard, response,
                           [this, request]() -> absl::StatusOr<v1::Batch> {
                             ASSIGN_OR_RETURN(const std::string id,
                                              ParseResourceName(request->name(), "batches"));
                             ASSIGN_OR_RETURN(const storage::Batch batch,
                                              parts_.batches->AllowBoard(id, request->mac()));
                             return pipeline::ToMessage(batch);
                           });
}

grpc::ServerUnaryReactor* BatchesService::ListBatchSlots(grpc::CallbackServerContext* context,
                                                         const v1::ListBatchSlotsRequest* request,
                                                         v1::ListBatchSlotsResponse* response) {
  return Answer<v1::ListBatchSlotsResponse>(parts_, *parts_.quick, context, kListBatchSlots,
                                            response, [this, request] { return Slots(*request); });
}

absl::StatusOr<v1::ListBatchSlotsResponse> BatchesService::Slots(
    const v1::ListBatchSlotsRequest& request) const {
  ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request.name(), "batches"));
  ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), pipeline::kMaxBatchCount));
  const std::string bound = absl::StrCat("slots:", id);
  ASSIGN_OR_RETURN(const std::string cursor, ParsePageToken(request.page_token(), bound));
  int after = 0;
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &after)) {
    return FieldError("page_token", "is none of this list");
  }
  ASSIGN_OR_RETURN(std::vector<storage::BatchSlot> found,
                   parts_.ledger->ListBatchSlots(id, after, size + 1));
  v1::ListBatchSlotsResponse response;
  if (found.size() > static_cast<size_t>(size)) {
    found.resize(size);
    response.set_next_page_token(MakePageToken(bound, absl::StrCat(found.back().slot)));
  }
  for (const storage::BatchSlot& slot : found) *response.add_slots() = pipeline::ToMessage(slot);
  return response;
}

}  // namespace kiln::api
