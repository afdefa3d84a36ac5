#ifndef KILN_DAEMON_API_FIRMWARE_SERVICE_H_
#define KILN_DAEMON_API_FIRMWARE_SERVICE_H_

#include <atomic>

#include "daemon/api/api_parts.h"
#include "kiln/v1/firmware.grpc.pb.h"

namespace kiln::api {

// kiln.v1.Firmware. Rejections of its own: RequestInvalid for malformed names, tokens and streams,
// BundleTooLarge as soon as a stream passes the limit; everything else is the bundle store's.
// Imports, builds and retirements are events. Owned by the API server.
class FirmwareService final : public v1::Firmware::CallbackService {
 public:
  FirmwareService(const ApiParts& parts, absl::Duration import_idle_timeout)
      : parts_(parts), import_idle_timeout_(import_idle_timeout) {}

  grpc::ServerReadReactor<v1::ImportBundleRequest>* ImportBundle(
      grpc::CallbackServerContext* context, v1::ImportBundleResponse* response) override;
  grpc::ServerWriteReactor<v1::BuildBundleResponse>* BuildBundle(
      grpc::CallbackServerContext* context, const v1::BuildBundleRequest* request) override;
  grpc::ServerUnaryReactor* ListBundles(grpc::CallbackServerContext* context,
                                        const v1::ListBundlesRequest* request,
                                        v1::ListBundlesResponse* response) override;
  grpc::ServerUnaryReactor* GetBundle(grpc::CallbackServerContext* context,
                                      const v1::GetBundleRequest* request,
                                      v1::Bundle* response) override;
  grpc::ServerUnaryReactor* RetireBundle(grpc::CallbackServerContext* context,
                                         const v1::RetireBundleRequest* request,
                                         v1::Bundle* response) override;

 private:
  absl::StatusOr<v1::ListBundlesResponse> List(const v1::ListBundlesRequest& request) const;
  absl::StatusOr<v1::Bundle> Retire(const v1::RetireBundleRequest& request) const;

  const ApiParts& parts_;
  const absl::Duration import_idle_timeout_;
  // Packages are held in memory while they arrive; this bounds how many at once.
  std::atomic<int> imports_{0};
};

}  // namespace kiln::api

#endif  // KILN_DAEMON_API_FIRMWARE_SERVICE_H_
