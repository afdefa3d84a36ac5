#ifndef KILN_STORAGE_EVENT_CHAIN_H_
#define KILN_STORAGE_EVENT_CHAIN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "storage/ledger.h"
#include "storage/sqlite_database.h"

namespace kiln::storage {

// The last link of the chain. An empty ledger has sequence 0 and 32 zero bytes.
struct ChainHead {
  int64_t sequence = 0;
  base::Sha256Digest hash = {};
};

// SHA-256(previous hash || le64 sequence || le64 time in microseconds || le32 kind ||
//         le64 length of subject || subject || le64 length of payload || payload).
base::Sha256Digest HashEvent(const base::Sha256Digest& previous, const EventRecord& event);

// The newest event's sequence and hash.
absl::StatusOr<ChainHead> ReadChainHead(SqliteDatabase& db);

// Appends `draft` after `head`, inside the caller's transaction, and moves `head` to it.
absl::StatusOr<EventRecord> AppendToChain(SqliteDatabase& db, ChainHead& head,
                                          const EventDraft& draft, absl::Time time);

absl::StatusOr<std::vector<EventRecord>> QueryEvents(SqliteDatabase& db, const EventQuery& query);

// Whether the newest event's hash follows from the one before, and equals the head that is kept
// apart (schema 2). LedgerDamaged when not. Cheap: reads two events.
absl::Status CheckChainHead(SqliteDatabase& db, int schema_version);

// Recomputes every hash from the first event on, in short transactions so that the log can be reset
// meanwhile. Fills `result.events_checked` and `head_hex`; LedgerDamaged names the sequence number
// of a broken link.
absl::Status VerifyChain(SqliteDatabase& db, VerifyResult& result);

}  // namespace kiln::storage

#endif  // KILN_STORAGE_EVENT_CHAIN_H_
