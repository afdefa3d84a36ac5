#include "daemon/api/firmware_service.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "daemon/api/build_stream.h"
#include "daemon/api/import_stream.h"
#include "daemon/api/methods.h"
#include "daemon/api/page_token.h"
#include "daemon/api/resource_name.h"
#include "daemon/api/unary.h"
#include "daemon/pipeline/messages.h"

namespace kiln::api {

grpc::ServerReadReactor<v1::ImportBundleRequest>* FirmwareService::ImportBundle(
    grpc::CallbackServerContext* context, v1::ImportBundleResponse* response) {
  return ImportStream::Start(parts_, context, import_idle_timeout_, imports_, response);
}

grpc::ServerWriteReactor<v1::BuildBundleResponse>* FirmwareService::BuildBundle(
    grpc::CallbackServerContext* context, const v1::BuildBundleRequest* request) {
  return BuildStream::Start(parts_, context, *request);
}

grpc::ServerUnaryReactor* FirmwareService::ListBundles(grpc::CallbackServerContext* context,
                                                       const v1::ListBundlesRequest* request,
                                                       v1::ListBundlesResponse* response) {
  return Answer<v1::ListBundlesResponse>(parts_, *parts_.quick, context, kListBundles, response,
                                         [this, request] { return List(*request); });
}

absl::StatusOr<v1::ListBundlesResponse> FirmwareService::List(
    const v1::ListBundlesRequest& request) const {
  ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), 100));
  const std::string bound = absl::StrCat("bundles:", request.include_retired());
  ASSIGN_OR_RETURN(const std::string after, ParsePageToken(request.page_token(), bound));

  v1::ListBundlesResponse response;
  // Bundles are never deleted, so the last one of the page before is always found again, even when
  // it was retired in between.
  bool reached = after.empty();
  for (const firmware::Bundle& bundle : parts_.bundles->List(/*include_retired=*/true)) {
    if (!reached) {
      reached = bundle.id == after;
      continue;
    }
    if (bundle.retired && !request.include_retired()) continue;
    if (response.bundles_size() == size) {
      response.set_next_page_token(
          MakePageToken(bound, response.bundles(response.bundles_size() - 1).id()));
      break;
    }
    *response.add_bundles() = pipeline::ToMessage(bundle);
  }
  return response;
}

grpc::ServerUnaryReactor* FirmwareService::GetBundle(grpc::CallbackServerContext* context,
                                                     const v1::GetBundleRequest* request,
                                                     v1::Bundle* response) {
  return Answer<v1::Bundle>(
      parts_, *parts_.quick, context, kGetBundle, response,
      [this, request]() -> absl::StatusOr<v1::Bundle> {
        ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), "bundles"));
        ASSIGN_OR_RETURN(const firmware::Bundle bundle, parts_.bundles->Get(id));
        return pipeline::ToMessage(bundle);
      });
}

grpc::ServerUnaryReactor* FirmwareService::RetireBundle(grpc::CallbackServerContext* context,
                                                        const v1::RetireBundleRequest* request,
                                                        v1::Bundle* response) {
  return Answer<v1::Bundle>(parts_, *parts_.quick, context, kRetireBundle, response,
                            [this, request] { return Retire(*request); });
}

absl::StatusOr<v1::Bundle> FirmwareService::Retire(const v1::RetireBundleRequest& request) const {
  ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request.name(), "bundles"));
  ASSIGN_OR_RETURN(const firmware::Bundle before, parts_.bundles->Get(id));
  if (before.retired) return pipeline::ToMessage(before);
  ASSIGN_OR_RETURN(const firmware::Bundle retired, parts_.bundles->Retire(before.id));
  RETURN_IF_ERROR(AppendBundleEvent(parts_, retired));
  return pipeline::ToMessage(retired);
}

}  // namespace kiln::api
