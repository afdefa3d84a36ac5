#include "daemon/pipeline/order.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/identity/identity.h"
#include "daemon/pipeline/details.pb.h"
#include "errors/error.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;

std::string DigestOf(const Order& order, const std::string& bundle_id, const std::string& port) {
  std::string text = "order 1\n";
  for (const std::string* field :
       {&order.customer.organization, &order.customer.customer_id, &order.customer.application_name,
        &order.customer.expiry_date, &bundle_id, &port}) {
    // The length in front keeps two fields from sharing their bytes.
    absl::StrAppend(&text, field->size(), ":", *field, "\n");
  }
  return base::HexOf(base::Sha256(base::AsBytes(text)));
}

}  // namespace

absl::Status CheckRequestId(const std::string& request_id) {
  if (request_id.empty()) return MakeError(ErrorCode::kRequestInvalid, "request_id is missing");
  if (request_id.size() > kMaxRequestIdLength) {
    return MakeError(ErrorCode::kRequestInvalid,
                     absl::StrCat("request_id has ", request_id.size(), " characters; at most ",
                                  kMaxRequestIdLength, " are allowed"));
  }
  for (const char c : request_id) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.' &&
        c != ':') {
      return MakeError(ErrorCode::kRequestInvalid,
                       "request_id holds a character that is not a letter A-Z, a digit or one of "
                       "- _ . : (use a UUID)");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ResolvedOrder> ResolveOrder(const Order& order, const firmware::BundleStore& bundles,
                                           const boards::Registry& boards) {
  ResolvedOrder resolved;
  if (order.bundle.empty()) return MakeError(ErrorCode::kRequestInvalid, "bundle is missing");
  if (order.port.empty()) return MakeError(ErrorCode::kRequestInvalid, "port is missing");
  ASSIGN_OR_RETURN(resolved.bundle, bundles.Get(order.bundle));
  if (order.port == kAnyPort) {
    resolved.port = kAnyPort;
  } else {
    ASSIGN_OR_RETURN(const boards::BoardInfo board, boards.Get(order.port));
    resolved.port = board.port;
  }
  resolved.digest = DigestOf(order, resolved.bundle.id, resolved.port);
  return resolved;
}

bool IsRepeatOf(const Order& order, const storage::Deployment& row,
                const boards::Registry& boards) {
  if (order.customer.organization != row.organization ||
      order.customer.customer_id != row.customer_id ||
      order.customer.application_name != row.application_name ||
      order.customer.expiry_date != row.expiry_date) {
    return false;
  }
  if (order.bundle.empty() || !absl::StartsWith(row.bundle_id, order.bundle)) return false;
  if (order.port.empty()) return false;
  if (order.port == row.requested_port) return true;
  DeploymentDetails details;
  if (details.ParseFromString(row.details) && order.port == details.ordered_port()) return true;
  const absl::StatusOr<boards::BoardInfo> board = boards.Get(order.port);
  return board.ok() && board->port == row.requested_port;
}

absl::Status CheckNewOrder(const Order& order, const ResolvedOrder& resolved,
                           const std::string& today) {
  RETURN_IF_ERROR(identity::ValidateCustomer(order.customer, today));
  const firmware::Bundle& bundle = resolved.bundle;
  if (bundle.retired) {
    return MakeError(ErrorCode::kBundleRetired, absl::StrCat("bundle ", bundle.id));
  }
  if (bundle.identity_partition() == nullptr) {
    return MakeError(ErrorCode::kIdentityDoesNotFit,
                     absl::StrCat("bundle ", bundle.id, " has no NVS partition"));
  }
  return absl::OkStatus();
}

}  // namespace kiln::pipeline
