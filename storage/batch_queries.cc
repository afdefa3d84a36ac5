#include "storage/batch_queries.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "errors/error.h"
#include "storage/ledger.h"

namespace kiln::storage {
namespace {

constexpr char kColumns[] =
    "id, request_id, request_digest, bundle_id, ports, count, one_customer, state, create_time_us, "
    "update_time_us, end_time_us, sequence";

Batch ReadBatch(const SqliteStatement& row) {
  Batch batch;
  batch.id = row.Bytes(0);
  batch.request_id = row.Bytes(1);
  batch.request_digest = row.Bytes(2);
  batch.bundle_id = row.Bytes(3);
  batch.ports = absl::StrSplit(row.Bytes(4), '\n');
  batch.count = static_cast<int>(row.Int(5));
  batch.one_customer = row.Int(6) != 0;
  batch.state = static_cast<BatchState>(row.Int(7));
  batch.create_time = row.Time(8);
  batch.update_time = row.Time(9);
  batch.end_time = row.Time(10);
  batch.sequence = row.Int(11);
  return batch;
}

constexpr char kSlots[] =
    "SELECT slot, s.organization, s.customer_id, s.application_name, s.expiry_date, "
    "coalesce(s.deployment_id, ''), s.mac, coalesce(d.state, 0) FROM batch_slots s "
    "LEFT JOIN deployments d ON d.id = s.deployment_id WHERE s.batch_id = ?1 ";

BatchSlot ReadSlot(const SqliteStatement& row) {
  BatchSlot slot;
  slot.slot = static_cast<int>(row.Int(0));
  slot.customer = {row.Bytes(1), row.Bytes(2), row.Bytes(3), row.Bytes(4)};
  slot.deployment_id = row.Bytes(5);
  slot.mac = row.Bytes(6);
  slot.deployment_state = static_cast<int>(row.Int(7));
  return slot;
}

absl::StatusOr<std::optional<BatchSlot>> ReadOneSlot(SqliteStatement& statement) {
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return std::optional<BatchSlot>();
  return std::optional<BatchSlot>(ReadSlot(statement));
}

// What is counted and not stored: slots by what holds them, deployments by their ends.
absl::Status Count(SqliteDatabase& db, Batch& batch) {
  {
    ASSIGN_OR_RETURN(
        SqliteStatement held,
        db.Cached("SELECT count(*) FILTER (WHERE d.state = 3), count(*) FILTER (WHERE d.state <> 3)"
                  " FROM batch_slots s JOIN deployments d ON d.id = s.deployment_id"
                  " WHERE s.batch_id = ?1"));
    ASSIGN_OR_RETURN(const bool row, held.BindText(1, batch.id).Step());
    if (row) {
      batch.succeeded = static_cast<int>(held.Int(0));
      batch.running = static_cast<int>(held.Int(1));
    }
  }
  {
    ASSIGN_OR_RETURN(SqliteStatement made,
                     db.Cached("SELECT count(*), count(*) FILTER (WHERE state > 3), "
                               "count(*) FILTER (WHERE state > 3 AND error_code = ?2) "
                               "FROM deployments WHERE batch_id = ?1"));
    made.BindText(1, batch.id)
        .BindText(2, errors::Lookup(errors::ErrorCode::kBoardAlreadyMade).name);
    ASSIGN_OR_RETURN(const bool row, made.Step());
    if (row) {
      batch.accepted = static_cast<int>(made.Int(0));
      batch.refused = static_cast<int>(made.Int(2));
      batch.failed = static_cast<int>(made.Int(1)) - batch.refused;
    }
  }
  {
    ASSIGN_OR_RETURN(SqliteStatement allowed,
                     db.Cached("SELECT mac FROM batch_allowed WHERE batch_id = ?1 ORDER BY mac"));
    allowed.BindText(1, batch.id);
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, allowed.Step());
      if (!row) break;
      batch.allowed_macs.push_back(allowed.Bytes(0));
    }
  }
  if (!batch.one_customer) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<BatchSlot> first, FindSlot(db, batch.id, 1));
  if (first.has_value()) batch.customer = first->customer;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Batch>> FindBy(SqliteDatabase& db, const std::string& column,
                                            const std::string& value) {
  std::optional<Batch> found;
  {
    ASSIGN_OR_RETURN(
        SqliteStatement query,
        db.Cached(absl::StrCat("SELECT ", kColumns, " FROM batches WHERE ", column, " = ?1")));
    ASSIGN_OR_RETURN(const bool row, query.BindText(1, value).Step());
    if (row) found = ReadBatch(query);
  }
  if (found.has_value()) {
    RETURN_IF_ERROR(Count(db, *found));
  }
  return found;
}

}  // namespace

absl::StatusOr<std::optional<Batch>> FindBatch(SqliteDatabase& db, const std::string& id) {
  return FindBy(db, "id", id);
}

absl::StatusOr<std::optional<Batch>> FindBatchByRequestId(SqliteDatabase& db,
                                                          const std::string& request_id) {
  return FindBy(db, "request_id", request_id);
}

absl::StatusOr<std::vector<Batch>> QueryBatches(SqliteDatabase& db, const BatchQuery& query) {
  if (query.limit < 1) return absl::InvalidArgumentError("the limit of a query must be at least 1");
  std::vector<std::string> conditions;
  absl::Time cursor_time;
  if (!query.older_than_id.empty()) {
    ASSIGN_OR_RETURN(SqliteStatement cursor,
                     db.Cached("SELECT create_time_us FROM batches WHERE id = ?1"));
    ASSIGN_OR_RETURN(const bool row, cursor.BindText(1, query.older_than_id).Step());
    if (!row) {
      return absl::InvalidArgumentError(
          absl::StrCat("the page's cursor names no batch: ", query.older_than_id));
    }
    cursor_time = cursor.Time(0);
    conditions.push_back("(create_time_us, id) < (?1, ?2)");
  }
  if (!query.states.empty()) {
    conditions.push_back(absl::StrCat("state IN (",
                                      absl::StrJoin(query.states, ", ",
                                                    [](std::string* out, BatchState state) {
                                                      absl::StrAppend(out, static_cast<int>(state));
                                                    }),
                                      ")"));
  }
  std::vector<Batch> batches;
  {
    ASSIGN_OR_RETURN(SqliteStatement statement,
                     db.Prepare(absl::StrCat("SELECT ", kColumns, " FROM batches",
                                             conditions.empty() ? "" : " WHERE ",
                                             absl::StrJoin(conditions, " AND "),
                                             " ORDER BY create_time_us DESC, id DESC LIMIT ?3")));
    if (!query.older_than_id.empty()) {
      statement.BindTime(1, cursor_time).BindText(2, query.older_than_id);
    }
    statement.BindInt(3, query.limit);
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, statement.Step());
      if (!row) break;
      batches.push_back(ReadBatch(statement));
    }
  }
  for (Batch& batch : batches) RETURN_IF_ERROR(Count(db, batch));
  return batches;
}

absl::StatusOr<std::vector<Batch>> QueryBatchesThatTakeBoards(SqliteDatabase& db) {
  std::vector<Batch> batches;
  {
    ASSIGN_OR_RETURN(
        SqliteStatement query,
        db.Cached(absl::StrCat("SELECT ", kColumns,
                               " FROM batches WHERE state = 1 AND EXISTS("
                               "SELECT 1 FROM batch_slots WHERE batch_id = id "
                               "AND deployment_id IS NULL) ORDER BY create_time_us, id")));
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      batches.push_back(ReadBatch(query));
    }
  }
  for (Batch& batch : batches) RETURN_IF_ERROR(Count(db, batch));
  return batches;
}

absl::StatusOr<std::vector<BatchSlot>> QueryBatchSlots(SqliteDatabase& db, const std::string& id,
                                                       int after_slot, int limit) {
  if (limit < 1) return absl::InvalidArgumentError("the limit of a query must be at least 1");
  ASSIGN_OR_RETURN(SqliteStatement query,
                   db.Cached(absl::StrCat(kSlots, "AND s.slot > ?2 ORDER BY s.slot LIMIT ?3")));
  query.BindText(1, id).BindInt(2, after_slot).BindInt(3, limit);
  std::vector<BatchSlot> slots;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return slots;
    slots.push_back(ReadSlot(query));
  }
}

absl::StatusOr<std::optional<BatchSlot>> FindFreeSlot(SqliteDatabase& db, const std::string& id) {
  ASSIGN_OR_RETURN(
      SqliteStatement query,
      db.Cached(absl::StrCat(kSlots, "AND s.deployment_id IS NULL ORDER BY s.slot LIMIT 1")));
  return ReadOneSlot(query.BindText(1, id));
}

absl::StatusOr<std::optional<BatchSlot>> FindSlot(SqliteDatabase& db, const std::string& id,
                                                  int slot) {
  ASSIGN_OR_RETURN(SqliteStatement query, db.Cached(absl::StrCat(kSlots, "AND s.slot = ?2")));
  return ReadOneSlot(query.BindText(1, id).BindInt(2, slot));
}

absl::StatusOr<std::optional<BatchSlot>> FindSlotOfBoard(SqliteDatabase& db, const std::string& id,
                                                         const std::string& mac) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   db.Cached(absl::StrCat(kSlots, "AND s.mac = ?2 AND s.mac <> ''")));
  return ReadOneSlot(query.BindText(1, id).BindText(2, mac));
}

absl::Status InsertBatch(SqliteDatabase& db, const Batch& batch,
                         const std::vector<BatchCustomer>& customers) {
  ASSIGN_OR_RETURN(
      SqliteStatement insert,
      db.Cached(absl::StrCat("INSERT INTO batches(", kColumns,
                             ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")));
  insert.BindText(1, batch.id)
      .BindText(2, batch.request_id)
      .BindBlob(3, batch.request_digest)
      .BindText(4, batch.bundle_id)
      .BindText(5, absl::StrJoin(batch.ports, "\n"))
      .BindInt(6, batch.count)
      .BindInt(7, batch.one_customer ? 1 : 0)
      .BindInt(8, static_cast<int>(batch.state))
      .BindTime(9, batch.create_time)
      .BindTime(10, batch.update_time)
      .BindTime(11, batch.end_time)
      .BindInt(12, batch.sequence);
  RETURN_IF_ERROR(insert.Run()) << "storing batch " << batch.id;
  for (int slot = 1; slot <= batch.count; ++slot) {
    const BatchCustomer& customer =
        customers[batch.one_customer ? 0 : static_cast<size_t>(slot - 1)];
    ASSIGN_OR_RETURN(SqliteStatement add,
                     db.Cached("INSERT INTO batch_slots(batch_id, slot, organization, customer_id, "
                               "application_name, expiry_date) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"));
    add.BindText(1, batch.id)
        .BindInt(2, slot)
        .BindText(3, customer.organization)
        .BindText(4, customer.customer_id)
        .BindText(5, customer.application_name)
        .BindText(6, customer.expiry_date);
    RETURN_IF_ERROR(add.Run()) << "storing slot " << slot << " of batch " << batch.id;
  }
  return absl::OkStatus();
}

absl::Status ReplaceBatch(SqliteDatabase& db, const Batch& batch) {
  ASSIGN_OR_RETURN(SqliteStatement update,
                   db.Cached("UPDATE batches SET state = ?2, update_time_us = ?3, "
                             "end_time_us = ?4, sequence = ?5 WHERE id = ?1"));
  update.BindText(1, batch.id)
      .BindInt(2, static_cast<int>(batch.state))
      .BindTime(3, batch.update_time)
      .BindTime(4, batch.end_time)
      .BindInt(5, batch.sequence);
  RETURN_IF_ERROR(update.Run()) << "storing batch " << batch.id;
  return absl::OkStatus();
}

absl::Status SetSlot(SqliteDatabase& db, const std::string& id, int slot,
                     const std::string& deployment_id, const std::string& mac) {
  ASSIGN_OR_RETURN(SqliteStatement update,
                   db.Cached("UPDATE batch_slots SET deployment_id = nullif(?3, ''), mac = ?4 "
                             "WHERE batch_id = ?1 AND slot = ?2"));
  update.BindText(1, id).BindInt(2, slot).BindText(3, deployment_id).BindText(4, mac);
  RETURN_IF_ERROR(update.Run()) << "storing slot " << slot << " of batch " << id;
  return absl::OkStatus();
}

absl::Status AllowBoard(SqliteDatabase& db, const std::string& id, const std::string& mac) {
  ASSIGN_OR_RETURN(SqliteStatement insert,
                   db.Cached("INSERT OR IGNORE INTO batch_allowed(batch_id, mac) VALUES(?1, ?2)"));
  return insert.BindText(1, id).BindText(2, mac).Run();
}

absl::StatusOr<bool> UseAllowance(SqliteDatabase& db, const std::string& id,
                                  const std::string& mac) {
  {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     db.Cached("SELECT 1 FROM batch_allowed WHERE batch_id = ?1 AND mac = ?2"));
    ASSIGN_OR_RETURN(const bool row, query.BindText(1, id).BindText(2, mac).Step());
    if (!row) return false;
  }
  ASSIGN_OR_RETURN(SqliteStatement erase,
                   db.Cached("DELETE FROM batch_allowed WHERE batch_id = ?1 AND mac = ?2"));
  RETURN_IF_ERROR(erase.BindText(1, id).BindText(2, mac).Run());
  return true;
}

}  // namespace kiln::storage
