#include "daemon/pipeline/batches.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "daemon/boards/usb_scan.h"
#include "daemon/pipeline/messages.h"
#include "daemon/pipeline/order.h"
#include "errors/error.h"
#include "kiln/v1/station.pb.h"

namespace kiln::pipeline {
namespace {

using errors::ErrorCode;
using errors::MakeError;

// Longest pattern: a port's name has 63 characters.
constexpr size_t kMaxPattern = 64;

absl::Status CheckPattern(const std::string& pattern) {
  bool good = !pattern.empty() && pattern.size() <= kMaxPattern;
  for (const char c : pattern) {
    good = good && (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ||
                    c == '_' || c == '*');
  }
  if (good) return absl::OkStatus();
  return MakeError(ErrorCode::kRequestInvalid,
                   "ports must hold names of ports, with '*' for any characters");
}

absl::Status CheckShape(const BatchOrder& order) {
  RETURN_IF_ERROR(CheckRequestId(order.request_id));
  if (order.ports.empty() || order.ports.size() > kMaxBatchPorts) {
    return MakeError(ErrorCode::kRequestInvalid,
                     absl::StrCat("ports must have 1 to ", kMaxBatchPorts, " entries"));
  }
  for (const std::string& pattern : order.ports) RETURN_IF_ERROR(CheckPattern(pattern));
  if (order.count < 1 || order.count > kMaxBatchCount) {
    return MakeError(ErrorCode::kRequestInvalid,
                     absl::StrCat("count must be 1 to ", kMaxBatchCount));
  }
  const size_t wanted = order.one_customer ? 1 : static_cast<size_t>(order.count);
  if (order.customers.size() != wanted) {
    return MakeError(ErrorCode::kRequestInvalid,
                     absl::StrCat("count is ", order.count, ", but there are ",
                                  order.customers.size(), " customers"));
  }
  return absl::OkStatus();
}

v1::Customer CustomerMessage(const storage::BatchCustomer& customer) {
  v1::Customer message;
  message.set_organization(customer.organization);
  message.set_customer_id(customer.customer_id);
  message.set_application_name(customer.application_name);
  message.set_expiry_date(customer.expiry_date);
  return message;
}

void AppendField(std::string& text, absl::string_view field) {
  // The length in front keeps two fields from sharing their bytes.
  absl::StrAppend(&text, field.size(), ":", field, "\n");
}

std::string DigestOf(const BatchOrder& order, const std::string& bundle_id) {
  std::string text = absl::StrCat("batch 1\n", order.count, "\n", order.ports.size(), "\n");
  for (const std::string& port : order.ports) AppendField(text, port);
  AppendField(text, bundle_id);
  for (const identity::Customer& customer : order.customers) {
    AppendField(text, customer.organization);
    AppendField(text, customer.customer_id);
    AppendField(text, customer.application_name);
    AppendField(text, customer.expiry_date);
  }
  return base::HexOf(base::Sha256(base::AsBytes(text)));
}

absl::Status CheckBundle(const firmware::Bundle& bundle) {
  if (bundle.retired) {
    return MakeError(ErrorCode::kBundleRetired, absl::StrCat("bundle ", bundle.id));
  }
  if (bundle.identity_partition() == nullptr) {
    return MakeError(ErrorCode::kIdentityDoesNotFit,
                     absl::StrCat("bundle ", bundle.id, " has no NVS partition"));
  }
  return absl::OkStatus();
}

bool IsMac(absl::string_view text) {
  bool good = text.size() == 17;
  for (size_t i = 0; good && i < text.size(); ++i) {
    good = i % 3 == 2 ? text[i] == ':' : absl::ascii_isxdigit(static_cast<unsigned char>(text[i]));
  }
  return good;
}

bool MeansAny(const std::vector<std::string>& patterns, const boards::BoardInfo& board) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&board](const std::string& pattern) { return MeansPort(pattern, board); });
}

}  // namespace

bool MeansPort(const std::string& pattern, const boards::BoardInfo& board) {
  return boards::MatchesPortPattern(pattern, board.port) ||
         (!board.alias.empty() && boards::MatchesPortPattern(pattern, board.alias));
}

bool TakesFrom(const storage::Batch& batch, const BatchPortRules& rules,
               const boards::BoardInfo& board) {
  if (MeansAny(rules.deny, board)) return false;
  if (!rules.allow.empty() && !MeansAny(rules.allow, board)) return false;
  return MeansAny(batch.ports, board);
}

absl::StatusOr<storage::Batch> Batches::Create(const BatchOrder& order, bool validate_only) {
  RETURN_IF_ERROR(CheckShape(order));
  ASSIGN_OR_RETURN(const firmware::Bundle bundle, bundles_.Get(order.bundle));
  storage::Batch batch;
  batch.request_id = order.request_id;
  batch.request_digest = DigestOf(order, bundle.id);
  batch.bundle_id = bundle.id;
  batch.ports = order.ports;
  batch.count = order.count;
  batch.one_customer = order.one_customer;
  batch.create_time = batch.update_time = clock_.Now();
  std::vector<storage::BatchCustomer> customers;
  customers.reserve(order.customers.size());
  for (const identity::Customer& customer : order.customers) {
    customers.push_back({customer.organization, customer.customer_id, customer.application_name,
                         customer.expiry_date});
  }
  if (batch.one_customer) batch.customer = customers.front();
  if (!validate_only) {
    // A repeat is answered whatever has become of the bundle, or of the date, since.
    auto known = ledger_.FindBatchByRequest(order.request_id);
    if (known.ok() && known->request_digest == batch.request_digest) return known;
    if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  }
  RETURN_IF_ERROR(CheckBundle(bundle));
  const std::string today = absl::FormatTime("%Y-%m-%d", clock_.Now(), time_zone_);
  for (size_t i = 0; i < order.customers.size(); ++i) {
    const absl::Status valid = identity::ValidateCustomer(order.customers[i], today);
    if (order.one_customer) {
      RETURN_IF_ERROR(valid);
    } else {
      RETURN_IF_ERROR(valid) << "customers[" << i << "]";
    }
  }
  if (validate_only) return batch;
  batch.id = base::RandomUuid(random_);
  ASSIGN_OR_RETURN(const storage::BatchLedger::BatchOutcome outcome,
                   ledger_.CreateBatch(batch, customers));
  if (!outcome.repeated) changed_();
  return outcome.batch;
}

absl::StatusOr<storage::Batch> Batches::Pause(const std::string& id) {
  return ledger_.ChangeBatch(id, storage::BatchChange::kPause);
}

absl::StatusOr<storage::Batch> Batches::Resume(const std::string& id) {
  ASSIGN_OR_RETURN(const storage::Batch present, ledger_.GetBatch(id));
  if (present.state == storage::BatchState::kPaused) {
    ASSIGN_OR_RETURN(const firmware::Bundle bundle, bundles_.Get(present.bundle_id));
    RETURN_IF_ERROR(CheckBundle(bundle));
  }
  ASSIGN_OR_RETURN(storage::Batch batch, ledger_.ChangeBatch(id, storage::BatchChange::kResume));
  changed_();
  return batch;
}

absl::StatusOr<storage::Batch> Batches::End(const std::string& id) {
  return ledger_.ChangeBatch(id, storage::BatchChange::kEnd);
}

absl::StatusOr<storage::Batch> Batches::AllowBoard(const std::string& id, const std::string& mac) {
  if (!IsMac(mac)) {
    return MakeError(ErrorCode::kRequestInvalid,
                     "mac must be six pairs of hexadecimal digits: 7c:df:a1:00:00:01");
  }
  ASSIGN_OR_RETURN(storage::Batch batch, ledger_.AllowBatchBoard(id, absl::AsciiStrToLower(mac)));
  changed_();
  return batch;
}

v1::Batch ToMessage(const storage::Batch& batch) {
  v1::Batch message;
  if (!batch.id.empty()) message.set_name(absl::StrCat("batches/", batch.id));
  message.set_request_id(batch.request_id);
  if (batch.one_customer) *message.mutable_customer() = CustomerMessage(batch.customer);
  message.set_bundle(absl::StrCat("bundles/", batch.bundle_id));
  for (const std::string& port : batch.ports) message.add_ports(port);
  message.set_count(batch.count);
  // The contract and the ledger share their numbers.
  message.set_state(static_cast<v1::Batch::State>(batch.state));
  message.set_accepted(batch.accepted);
  message.set_running(batch.running);
  message.set_succeeded(batch.succeeded);
  message.set_failed(batch.failed);
  message.set_refused(batch.refused);
  message.set_remaining(batch.remaining());
  for (const std::string& mac : batch.allowed_macs) message.add_allowed_macs(mac);
  SetTimestamp(message.mutable_create_time(), batch.create_time);
  SetTimestamp(message.mutable_update_time(), batch.update_time);
  if (batch.end_time != absl::InfinitePast()) {
    SetTimestamp(message.mutable_end_time(), batch.end_time);
  }
  message.set_sequence(batch.sequence);
  return message;
}

v1::BatchSlot ToMessage(const storage::BatchSlot& slot) {
  v1::BatchSlot message;
  message.set_slot(slot.slot);
  *message.mutable_customer() = CustomerMessage(slot.customer);
  if (!slot.deployment_id.empty()) {
    message.set_deployment(absl::StrCat("deployments/", slot.deployment_id));
  }
  message.set_mac(slot.mac);
  message.set_state(static_cast<v1::Deployment::State>(slot.deployment_state));
  return message;
}

std::string BatchEventPayload(const storage::Batch& batch) {
  v1::Event event;
  event.set_kind(v1::EVENT_KIND_BATCH);
  *event.mutable_batch() = ToMessage(batch);
  return event.SerializeAsString();
}

}  // namespace kiln::pipeline
