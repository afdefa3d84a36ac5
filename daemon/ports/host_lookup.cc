#include "daemon/ports/host_lookup.h"

#include <netdb.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "errors/error.h"

namespace kiln::ports {
namespace {

using Endpoints = std::vector<TcpEndpoint>;

struct Lookup {
  absl::Mutex mutex;
  bool done ABSL_GUARDED_BY(mutex) = false;
  absl::StatusOr<Endpoints> result ABSL_GUARDED_BY(mutex) = absl::UnknownError("pending");
};

absl::StatusOr<Endpoints> Resolve(const std::string& host, uint16_t port, int flags) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &list);
  if (error != 0) {
    return errors::MakeError(errors::ErrorCode::kBoardNotFound,
                             absl::StrCat("looking up ", host, ": ", ::gai_strerror(error)));
  }
  Endpoints endpoints;
  for (const addrinfo* it = list; it != nullptr; it = it->ai_next) {
    TcpEndpoint endpoint;
    if (it->ai_addrlen > sizeof(endpoint.address)) continue;
    std::memcpy(&endpoint.address, it->ai_addr, it->ai_addrlen);
    endpoint.size = it->ai_addrlen;
    endpoints.push_back(endpoint);
  }
  ::freeaddrinfo(list);
  return endpoints;
}

}  // namespace

absl::StatusOr<Endpoints> LookUpHost(const std::string& host, uint16_t port,
                                     absl::Duration timeout) {
  if (auto numeric = Resolve(host, port, AI_NUMERICHOST); numeric.ok()) return numeric;

  auto lookup = std::make_shared<Lookup>();
  try {
    std::thread([lookup, host, port] {
      absl::StatusOr<Endpoints> result = Resolve(host, port, 0);
      absl::MutexLock lock(&lookup->mutex);
      lookup->result = std::move(result);
      lookup->done = true;
    }).detach();
  } catch (const std::system_error& error) {
    return errors::MakeError(errors::ErrorCode::kPortFailed,
                             absl::StrCat("looking up ", host, ": ", error.what()));
  }
  absl::MutexLock lock(&lookup->mutex);
  const auto done = [&lookup]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return lookup->done; };
  if (!base::SystemClock().AwaitCondition(&lookup->mutex, done, timeout)) {
    return absl::DeadlineExceededError(absl::StrCat("looking up ", host, " took too long"));
  }
  return std::move(lookup->result);
}

}  // namespace kiln::ports
