#ifndef KILN_DAEMON_PIPELINE_ORDER_H_
#define KILN_DAEMON_PIPELINE_ORDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/boards/registry.h"
#include "daemon/firmware/bundle_store.h"
#include "daemon/pipeline/scheduler.h"
#include "storage/ledger.h"

namespace kiln::pipeline {

inline constexpr char kAnyPort[] = "any";
inline constexpr size_t kMaxRequestIdLength = 64;

// 1 to 64 characters of A-Z a-z 0-9 . _ : -, as UUIDs and other generated keys have;
// RequestInvalid.
absl::Status CheckRequestId(const std::string& request_id);

// An order whose names mean something: the bundle exists, the port is known.
struct ResolvedOrder {
  firmware::Bundle bundle;
  std::string port;  // the port's name, or "any"
  // SHA-256 over everything the client asked for, in hexadecimal. Equal for an order that names the
  // same bundle by a prefix, or the same port by its alias.
  std::string digest;
};

// Looks the order's names up. Errors: RequestInvalid (request id), BundleNotFound, PortNotFound.
absl::StatusOr<ResolvedOrder> ResolveOrder(const Order& order, const firmware::BundleStore& bundles,
                                           const boards::Registry& boards);

// Whether `order` is the one that made `row`, told without what the station may have lost since:
// the port is compared as it was written and as it is known now, the bundle by its id.
bool IsRepeatOf(const Order& order, const storage::Deployment& row, const boards::Registry& boards);

// What only a new order has to fulfil, a repeated one not any more: CustomerInvalid, BundleRetired,
// IdentityDoesNotFit (the bundle has no NVS partition). `today` is YYYY-MM-DD at the station.
absl::Status CheckNewOrder(const Order& order, const ResolvedOrder& resolved,
                           const std::string& today);

}  // namespace kiln::pipeline

#endif  // KILN_DAEMON_PIPELINE_ORDER_H_
