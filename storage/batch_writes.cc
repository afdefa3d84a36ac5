#include "storage/batch_writes.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "storage/batch_queries.h"
#include "storage/event_chain.h"

namespace kiln::storage {
namespace {

using errors::ErrorCode;
using errors::MakeError;

bool IsOver(const Batch& batch) {
  return batch.state == BatchState::kCompleted || batch.state == BatchState::kEnded;
}

absl::string_view NameOf(BatchState state) {
  constexpr absl::string_view kNames[] = {"?", "ACTIVE", "PAUSED", "COMPLETED", "ENDED"};
  return kNames[static_cast<int>(state)];
}

absl::Status StateWrong(const Batch& batch, absl::string_view wish) {
  return MakeError(ErrorCode::kBatchStateWrong,
                   absl::StrCat("batch ", batch.id, " is ", NameOf(batch.state), "; it ", wish));
}

absl::StatusOr<Batch> MustFind(SqliteDatabase& db, const std::string& id) {
  ASSIGN_OR_RETURN(std::optional<Batch> found, FindBatch(db, id));
  if (!found.has_value())
    return MakeError(ErrorCode::kBatchNotFound, absl::StrCat("no batch ", id));
  return *std::move(found);
}

absl::Time WholeMicroseconds(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

// The event that tells of `batch` as it is to be stored.
absl::Status AppendEventOf(const WriteScope& scope, Batch& batch) {
  ASSIGN_OR_RETURN(ChainHead head, ReadChainHead(scope.db));
  batch.update_time = WholeMicroseconds(scope.now);
  batch.sequence = head.sequence + 1;
  EventDraft draft;
  draft.kind = kBatchEventKind;
  draft.subject = absl::StrCat("batches/", batch.id);
  draft.payload = scope.batch_payload(batch);
  ASSIGN_OR_RETURN(EventRecord event, AppendToChain(scope.db, head, draft, batch.update_time));
  scope.events.push_back(std::move(event));
  return absl::OkStatus();
}

absl::Status Store(const WriteScope& scope, Batch& batch) {
  RETURN_IF_ERROR(AppendEventOf(scope, batch));
  return ReplaceBatch(scope.db, batch);
}

bool IsUnderWay(DeploymentState state) {
  return state == DeploymentState::kPending || state == DeploymentState::kRunning;
}

// Makes way for the board of `deployment` to be the only one of its MAC in the batch; true when
// that took the slot of an earlier success.
absl::StatusOr<bool> ClaimBoard(SqliteDatabase& db, const Deployment& deployment) {
  ASSIGN_OR_RETURN(const std::optional<BatchSlot> other,
                   FindSlotOfBoard(db, deployment.batch_id, deployment.mac));
  if (!other.has_value() || other->deployment_id == deployment.id) return false;
  if (IsUnderWay(static_cast<DeploymentState>(other->deployment_state))) {
    return MakeError(ErrorCode::kBoardAlreadyMade,
                     absl::StrCat("the board ", deployment.mac, " belongs to deployment ",
                                  other->deployment_id, " of this batch, which has not ended"));
  }
  ASSIGN_OR_RETURN(const bool allowed, UseAllowance(db, deployment.batch_id, deployment.mac));
  if (!allowed) {
    return MakeError(ErrorCode::kBoardAlreadyMade,
                     absl::StrCat("the board ", deployment.mac, " was made by deployment ",
                                  other->deployment_id, " in slot ", other->slot));
  }
  RETURN_IF_ERROR(SetSlot(db, deployment.batch_id, other->slot, "", ""));
  return true;
}

}  // namespace

absl::StatusOr<BatchLedger::BatchOutcome> CreateBatchIn(
    const WriteScope& scope, const Batch& batch, const std::vector<BatchCustomer>& customers) {
  if (batch.id.empty() || batch.request_id.empty() || batch.ports.empty() || batch.count < 1 ||
      customers.size() != (batch.one_customer ? 1 : static_cast<size_t>(batch.count))) {
    return absl::InvalidArgumentError("a batch needs ids, ports, a count and its customers");
  }
  ASSIGN_OR_RETURN(std::optional<Batch> known, FindBatchByRequestId(scope.db, batch.request_id));
  if (known.has_value()) {
    if (known->request_digest != batch.request_digest) {
      return MakeError(
          ErrorCode::kRequestConflict,
          absl::StrCat("request ", batch.request_id, " was a different order: batch ", known->id));
    }
    return BatchLedger::BatchOutcome{.batch = *std::move(known), .repeated = true};
  }
  Batch row = batch;
  row.state = BatchState::kActive;
  row.create_time = WholeMicroseconds(scope.now);
  row.end_time = absl::InfinitePast();
  if (row.one_customer) row.customer = customers.front();
  RETURN_IF_ERROR(AppendEventOf(scope, row));
  RETURN_IF_ERROR(InsertBatch(scope.db, row, customers));
  return BatchLedger::BatchOutcome{.batch = std::move(row), .repeated = false};
}

absl::StatusOr<Batch> ChangeBatchIn(const WriteScope& scope, const std::string& id,
                                    BatchChange change) {
  ASSIGN_OR_RETURN(Batch batch, MustFind(scope.db, id));
  BatchState wanted = BatchState::kActive;
  switch (change) {
    case BatchChange::kPause:
      wanted = BatchState::kPaused;
      break;
    case BatchChange::kResume:
      break;
    case BatchChange::kEnd:
      wanted = BatchState::kEnded;
      break;
  }
  if (batch.state == wanted) return batch;
  if (IsOver(batch)) {
    return StateWrong(batch, change == BatchChange::kEnd ? "is over already" : "is over for good");
  }
  batch.state = wanted;
  if (wanted == BatchState::kEnded) batch.end_time = WholeMicroseconds(scope.now);
  RETURN_IF_ERROR(Store(scope, batch));
  return batch;
}

absl::StatusOr<Batch> AllowBoardIn(const WriteScope& scope, const std::string& id,
                                   const std::string& mac) {
  ASSIGN_OR_RETURN(const Batch before, MustFind(scope.db, id));
  if (IsOver(before)) return StateWrong(before, "is over for good");
  ASSIGN_OR_RETURN(const std::optional<BatchSlot> slot, FindSlotOfBoard(scope.db, id, mac));
  if (!slot.has_value()) {
    return MakeError(ErrorCode::kBatchStateWrong,
                     absl::StrCat("the board ", mac, " holds no slot of batch ", id,
                                  "; it may be made without being allowed"));
  }
  RETURN_IF_ERROR(AllowBoard(scope.db, id, mac));
  ASSIGN_OR_RETURN(Batch batch, MustFind(scope.db, id));
  if (batch.allowed_macs == before.allowed_macs) return batch;
  RETURN_IF_ERROR(Store(scope, batch));
  return batch;
}

absl::Status PickSlot(SqliteDatabase& db, Deployment& deployment) {
  ASSIGN_OR_RETURN(const Batch batch, MustFind(db, deployment.batch_id));
  if (batch.state != BatchState::kActive) return StateWrong(batch, "takes no boards");
  ASSIGN_OR_RETURN(const std::optional<BatchSlot> free, FindFreeSlot(db, batch.id));
  if (!free.has_value()) return StateWrong(batch, "has no free slot");
  deployment.batch_slot = free->slot;
  deployment.bundle_id = batch.bundle_id;
  deployment.organization = free->customer.organization;
  deployment.customer_id = free->customer.customer_id;
  deployment.application_name = free->customer.application_name;
  deployment.expiry_date = free->customer.expiry_date;
  return absl::OkStatus();
}

absl::StatusOr<Counts> SettleSlot(SqliteDatabase& db, const Deployment* before,
                                  const Deployment& after) {
  if (after.batch_id.empty()) return Counts::kSame;
  // A success is final. Its board may have been made once more since, and its slot be another's.
  if (before != nullptr && before->state == DeploymentState::kSucceeded) return Counts::kSame;
  ASSIGN_OR_RETURN(const std::optional<BatchSlot> slot,
                   FindSlot(db, after.batch_id, after.batch_slot));
  if (!slot.has_value()) {
    return absl::InternalError(absl::StrCat("deployment ", after.id, " names slot ",
                                            after.batch_slot, ", which its batch does not have"));
  }
  const bool mine = slot->deployment_id == after.id;
  if (!IsUnderWay(after.state) && after.state != DeploymentState::kSucceeded) {
    if (mine) {
      RETURN_IF_ERROR(SetSlot(db, after.batch_id, slot->slot, "", ""));
    }
    return before != nullptr && before->state == after.state ? Counts::kSame : Counts::kChanged;
  }
  if (!mine && !slot->deployment_id.empty()) {
    return MakeError(ErrorCode::kBatchSlotTaken,
                     absl::StrCat("slot ", slot->slot, " of batch ", after.batch_id,
                                  " is deployment ", slot->deployment_id, "'s now"));
  }
  if (!mine && before != nullptr) {
    ASSIGN_OR_RETURN(const Batch batch, MustFind(db, after.batch_id));
    if (IsOver(batch)) return StateWrong(batch, "is over for good");
  }
  bool took_another = false;
  if (!after.mac.empty() && (!mine || slot->mac != after.mac)) {
    ASSIGN_OR_RETURN(took_another, ClaimBoard(db, after));
  }
  if (!mine || slot->mac != after.mac) {
    RETURN_IF_ERROR(SetSlot(db, after.batch_id, slot->slot, after.id, after.mac));
  }
  const bool same = before != nullptr && mine && !took_another &&
                    IsUnderWay(before->state) == IsUnderWay(after.state);
  return same ? Counts::kSame : Counts::kChanged;
}

absl::Status AnnounceCounts(const WriteScope& scope, const std::string& id) {
  ASSIGN_OR_RETURN(Batch batch, MustFind(scope.db, id));
  if (!IsOver(batch) && batch.succeeded == batch.count) {
    batch.state = BatchState::kCompleted;
    batch.end_time = WholeMicroseconds(scope.now);
  }
  return Store(scope, batch);
}

}  // namespace kiln::storage
