#include "storage/event_chain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/little_endian.h"
#include "base/status_macros.h"
#include "errors/error.h"

namespace kiln::storage {
namespace {

// Events a transaction of VerifyChain reads.
constexpr int kVerifyBatch = 1000;

EventRecord ReadEvent(const SqliteStatement& row) {
  EventRecord event;
  event.sequence = row.Int(0);
  event.time = row.Time(1);
  event.kind = static_cast<int>(row.Int(2));
  event.subject = row.Bytes(3);
  event.payload = row.Bytes(4);
  return event;
}

bool Equal(const base::Sha256Digest& digest, const std::string& bytes) {
  return base::AsChars(digest) == absl::string_view(bytes);
}

absl::Status Damaged(const std::string& what) {
  return errors::MakeError(errors::ErrorCode::kLedgerDamaged, what);
}

}  // namespace

base::Sha256Digest HashEvent(const base::Sha256Digest& previous, const EventRecord& event) {
  std::string head(base::AsChars(previous));
  base::AppendLe<uint64_t>(head, static_cast<uint64_t>(event.sequence));
  base::AppendLe<uint64_t>(head, static_cast<uint64_t>(absl::ToUnixMicros(event.time)));
  base::AppendLe<uint32_t>(head, static_cast<uint32_t>(event.kind));
  base::AppendLe<uint64_t>(head, event.subject.size());
  head += event.subject;
  base::AppendLe<uint64_t>(head, event.payload.size());
  base::Sha256Stream stream;
  stream.Update(base::AsBytes(head));
  stream.Update(base::AsBytes(event.payload));
  return stream.Finish();
}

absl::StatusOr<ChainHead> ReadChainHead(SqliteDatabase& db) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   db.Cached("SELECT sequence, hash FROM events ORDER BY sequence DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, query.Step());
  ChainHead head;
  if (!row) return head;
  head.sequence = query.Int(0);
  const std::string hash = query.Bytes(1);
  if (hash.size() != head.hash.size()) {
    return Damaged(absl::StrCat("event ", head.sequence, " has a hash of ", hash.size(), " bytes"));
  }
  std::copy(hash.begin(), hash.end(), head.hash.begin());
  return head;
}

absl::StatusOr<EventRecord> AppendToChain(SqliteDatabase& db, ChainHead& head,
                                          const EventDraft& draft, absl::Time time) {
  EventRecord event;
  event.sequence = head.sequence + 1;
  // As it will be read back: in whole microseconds.
  event.time = absl::FromUnixMicros(absl::ToUnixMicros(time));
  event.kind = draft.kind;
  event.subject = draft.subject;
  event.payload = draft.payload;
  const base::Sha256Digest hash = HashEvent(head.hash, event);
  ASSIGN_OR_RETURN(SqliteStatement insert,
                   db.Cached("INSERT INTO events(sequence, time_us, kind, subject, payload, hash) "
                             "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"));
  insert.BindInt(1, event.sequence)
      .BindTime(2, event.time)
      .BindInt(3, event.kind)
      .BindText(4, event.subject)
      .BindBlob(5, event.payload)
      .BindBlob(6, base::AsChars(hash));
  RETURN_IF_ERROR(insert.Run()) << "appending event " << event.sequence;
  head = {.sequence = event.sequence, .hash = hash};
  return event;
}

absl::StatusOr<std::vector<EventRecord>> QueryEvents(SqliteDatabase& db, const EventQuery& query) {
  if (query.limit < 1) return absl::InvalidArgumentError("the limit of a query must be at least 1");
  std::string sql =
      "SELECT sequence, time_us, kind, subject, payload FROM events WHERE sequence > ?1";
  if (!query.subject.empty()) absl::StrAppend(&sql, " AND subject = ?2");
  if (query.kinds.size() == 1 && query.subject.empty()) {
    absl::StrAppend(&sql, " AND kind = ", query.kinds[0]);
  } else if (!query.kinds.empty()) {
    // The plus keeps SQLite from collecting and sorting several kinds: in order of sequence it can
    // stop at the limit.
    absl::StrAppend(&sql, " AND +kind IN (", absl::StrJoin(query.kinds, ","), ")");
  }
  absl::StrAppend(&sql, " ORDER BY sequence LIMIT ?3");
  ASSIGN_OR_RETURN(SqliteStatement statement, db.Prepare(sql));
  statement.BindInt(1, query.after_sequence).BindInt(3, query.limit);
  if (!query.subject.empty()) statement.BindText(2, query.subject);
  std::vector<EventRecord> events;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return events;
    events.push_back(ReadEvent(statement));
  }
}

absl::Status CheckChainHead(SqliteDatabase& db, int schema_version) {
  ASSIGN_OR_RETURN(const ChainHead head, ReadChainHead(db));
  if (head.sequence > 0) {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     db.Prepare("SELECT sequence, time_us, kind, subject, payload, "
                                "(SELECT hash FROM events WHERE sequence = ?1 - 1) "
                                "FROM events WHERE sequence = ?1"));
    ASSIGN_OR_RETURN(const bool row, query.BindInt(1, head.sequence).Step());
    if (!row) return Damaged(absl::StrCat("event ", head.sequence, " cannot be read back"));
    base::Sha256Digest previous = {};
    const std::string bytes = query.Bytes(5);
    if (head.sequence > 1 && bytes.size() != previous.size()) {
      return Damaged(absl::StrCat("event ", head.sequence - 1, " is missing"));
    }
    std::copy(bytes.begin(), bytes.end(), previous.begin());
    if (HashEvent(previous, ReadEvent(query)) != head.hash) {
      return Damaged(absl::StrCat("the hash of event ", head.sequence, " is wrong"));
    }
  }
  if (schema_version < 2) return absl::OkStatus();
  ASSIGN_OR_RETURN(SqliteStatement kept, db.Prepare("SELECT sequence, hash FROM chain_head"));
  ASSIGN_OR_RETURN(const bool row, kept.Step());
  if (!row) return Damaged("the head of the event chain is missing");
  if (kept.Int(0) != head.sequence || !Equal(head.hash, kept.Bytes(1))) {
    return Damaged(absl::StrCat("the event chain ends at ", head.sequence, ", but its head says ",
                                kept.Int(0)));
  }
  return absl::OkStatus();
}

absl::Status VerifyChain(SqliteDatabase& db, VerifyResult& result) {
  base::Sha256Digest previous = {};
  int64_t last = 0;
  for (bool more = true; more;) {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     db.Cached("SELECT sequence, time_us, kind, subject, payload, hash FROM events "
                               "WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"));
    query.BindInt(1, last).BindInt(2, kVerifyBatch);
    more = false;
    for (;;) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      more = true;
      const EventRecord event = ReadEvent(query);
      if (event.sequence != last + 1) {
        return Damaged(absl::StrCat("event ", last + 1, " is missing"));
      }
      const base::Sha256Digest hash = HashEvent(previous, event);
      if (!Equal(hash, query.Bytes(5))) {
        return Damaged(absl::StrCat("event ", event.sequence,
                                    " was changed: its hash does not follow from its content"));
      }
      previous = hash;
      last = event.sequence;
      ++result.events_checked;
      result.head_hex = base::HexOf(hash);
    }
  }
  return absl::OkStatus();
}

}  // namespace kiln::storage
