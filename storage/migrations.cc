#include "storage/migrations.h"

#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kiln::storage {
namespace {

// The history of the schema. Never change an entry that has shipped: add the next one, and a
// fixture of the schema before it to storage/testdata.
//
// Schema 1: events, deployments, secrets.
constexpr char kSchema1[] = R"sql(
CREATE TABLE events(
  sequence INTEGER PRIMARY KEY CHECK(sequence > 0),
  time_us INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK(kind > 0),
  subject TEXT NOT NULL,
  payload BLOB NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32)
) STRICT;

CREATE TRIGGER events_have_no_gaps BEFORE INSERT ON events
WHEN NEW.sequence <> 1 + coalesce((SELECT max(sequence) FROM events), 0)
BEGIN SELECT RAISE(ABORT, 'events are numbered without gaps'); END;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

CREATE TABLE deployments(
  id TEXT NOT NULL PRIMARY KEY CHECK(id <> ''),
  request_id TEXT NOT NULL UNIQUE CHECK(request_id <> ''),
  request_digest BLOB NOT NULL,
  organization TEXT NOT NULL,
  customer_id TEXT NOT NULL,
  application_name TEXT NOT NULL,
  expiry_date TEXT NOT NULL,
  bundle_id TEXT NOT NULL,
  requested_port TEXT NOT NULL,
  port TEXT NOT NULL,
  state INTEGER NOT NULL CHECK(state BETWEEN 1 AND 6),
  step INTEGER NOT NULL CHECK(step >= 0),
  attempt INTEGER NOT NULL CHECK(attempt >= 1),
  last_retry_request_id TEXT NOT NULL,
  cancel_requested INTEGER NOT NULL CHECK(cancel_requested IN (0, 1)),
  progress_percent INTEGER NOT NULL CHECK(progress_percent BETWEEN 0 AND 100),
  chip TEXT NOT NULL,
  mac TEXT NOT NULL,
  flash_size_bytes INTEGER NOT NULL CHECK(flash_size_bytes BETWEEN 0 AND 4294967295),
  wifi_ssid TEXT NOT NULL,
  record_path TEXT NOT NULL,
  error_code TEXT NOT NULL,
  error_detail TEXT NOT NULL,
  details BLOB NOT NULL,
  create_time_us INTEGER NOT NULL,
  update_time_us INTEGER NOT NULL,
  start_time_us INTEGER,
  end_time_us INTEGER,
  sequence INTEGER NOT NULL REFERENCES events(sequence),
  CHECK(state <> 2 OR port <> '')
) STRICT;

CREATE UNIQUE INDEX deployments_one_running_per_port ON deployments(port) WHERE state = 2;
CREATE INDEX deployments_by_time ON deployments(create_time_us, id);

CREATE TABLE deployment_secrets(
  deployment_id TEXT NOT NULL PRIMARY KEY REFERENCES deployments(id),
  wifi_password TEXT NOT NULL CHECK(wifi_password <> '')
) STRICT, WITHOUT ROWID;
)sql";

// Schema 2: history is searched by state, customer, MAC, port and bundle, and events by subject and
// kind; lists say whether a password exists without reading it; the order of a deployment is fixed,
// and no deployment goes away; the head of the chain is kept apart from the events, so that cutting
// off the newest ones shows.
constexpr char kSchema2[] = R"sql(
CREATE INDEX deployments_by_state ON deployments(state, create_time_us, id);
CREATE INDEX deployments_by_customer ON deployments(customer_id, create_time_us, id);
CREATE INDEX deployments_by_mac ON deployments(mac, create_time_us, id);
CREATE INDEX deployments_by_port ON deployments(port, create_time_us, id);
CREATE INDEX deployments_by_bundle ON deployments(bundle_id, create_time_us, id);
CREATE INDEX events_by_subject ON events(subject, sequence);
CREATE INDEX events_by_kind ON events(kind, sequence);

ALTER TABLE deployments ADD COLUMN
  has_wifi_password INTEGER NOT NULL DEFAULT 0 CHECK(has_wifi_password IN (0, 1));
UPDATE deployments SET has_wifi_password = 1
  WHERE id IN (SELECT deployment_id FROM deployment_secrets);

CREATE TRIGGER deployments_keep_their_order BEFORE UPDATE ON deployments
WHEN NEW.id <> OLD.id OR NEW.request_id <> OLD.request_id
  OR NEW.request_digest <> OLD.request_digest OR NEW.organization <> OLD.organization
  OR NEW.customer_id <> OLD.customer_id OR NEW.application_name <> OLD.application_name
  OR NEW.expiry_date <> OLD.expiry_date OR NEW.bundle_id <> OLD.bundle_id
  OR NEW.requested_port <> OLD.requested_port OR NEW.create_time_us <> OLD.create_time_us
BEGIN SELECT RAISE(ABORT, 'the order of a deployment is never changed'); END;
CREATE TRIGGER deployments_are_never_deleted BEFORE DELETE ON deployments
BEGIN SELECT RAISE(ABORT, 'deployments are never deleted'); END;

CREATE TABLE chain_head(
  only INTEGER PRIMARY KEY CHECK(only = 1),
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32)
) STRICT;
INSERT INTO chain_head VALUES(1, 0, zeroblob(32));
UPDATE chain_head SET (sequence, hash) =
  (SELECT sequence, hash FROM events ORDER BY sequence DESC LIMIT 1)
  WHERE EXISTS(SELECT 1 FROM events);
CREATE TRIGGER events_move_the_head AFTER INSERT ON events
BEGIN UPDATE chain_head SET sequence = NEW.sequence, hash = NEW.hash; END;
)sql";

// Schema 3: the records of ended attempts that may not be on disk yet, from the transaction of the
// end until they are. An attempt's facts stand here and not in its deployment, whose row the next
// attempt changes.
constexpr char kSchema3[] = R"sql(
CREATE TABLE due_records(
  deployment_id TEXT NOT NULL REFERENCES deployments(id),
  attempt INTEGER NOT NULL CHECK(attempt >= 1),
  sequence INTEGER NOT NULL REFERENCES events(sequence),
  content BLOB NOT NULL,
  PRIMARY KEY(deployment_id, attempt)
) STRICT, WITHOUT ROWID;
)sql";

// Schema 4: batches. A slot is a row, which one deployment holds or none: there can be no more of
// them than the batch was ordered with, no deployment in two, and no board twice in one batch.
constexpr char kSchema4[] = R"sql(
CREATE TABLE batches(
  id TEXT NOT NULL PRIMARY KEY CHECK(id <> ''),
  request_id TEXT NOT NULL UNIQUE CHECK(request_id <> ''),
  request_digest BLOB NOT NULL,
  bundle_id TEXT NOT NULL,
  ports TEXT NOT NULL CHECK(ports <> ''),
  count INTEGER NOT NULL CHECK(count >= 1),
  one_customer INTEGER NOT NULL CHECK(one_customer IN (0, 1)),
  state INTEGER NOT NULL CHECK(state BETWEEN 1 AND 4),
  create_time_us INTEGER NOT NULL,
  update_time_us INTEGER NOT NULL,
  end_time_us INTEGER,
  sequence INTEGER NOT NULL REFERENCES events(sequence)
) STRICT;
CREATE INDEX batches_by_time ON batches(create_time_us, id);
CREATE INDEX batches_by_state ON batches(state, create_time_us, id);
CREATE TRIGGER batches_keep_their_order BEFORE UPDATE ON batches
WHEN NEW.id <> OLD.id OR NEW.request_id <> OLD.request_id
  OR NEW.request_digest <> OLD.request_digest OR NEW.bundle_id <> OLD.bundle_id
  OR NEW.ports <> OLD.ports OR NEW.count <> OLD.count OR NEW.one_customer <> OLD.one_customer
  OR NEW.create_time_us <> OLD.create_time_us
BEGIN SELECT RAISE(ABORT, 'the order of a batch is never changed'); END;
CREATE TRIGGER batches_are_never_deleted BEFORE DELETE ON batches
BEGIN SELECT RAISE(ABORT, 'batches are never deleted'); END;

CREATE TABLE batch_slots(
  batch_id TEXT NOT NULL REFERENCES batches(id),
  slot INTEGER NOT NULL CHECK(slot >= 1),
  organization TEXT NOT NULL,
  customer_id TEXT NOT NULL,
  application_name TEXT NOT NULL,
  expiry_date TEXT NOT NULL,
  deployment_id TEXT UNIQUE REFERENCES deployments(id),
  mac TEXT NOT NULL DEFAULT '' CHECK(mac = '' OR deployment_id IS NOT NULL),
  PRIMARY KEY(batch_id, slot)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX batch_slots_one_per_board ON batch_slots(batch_id, mac) WHERE mac <> '';
CREATE TRIGGER batch_slots_are_as_many_as_ordered BEFORE INSERT ON batch_slots
WHEN NEW.slot > (SELECT count FROM batches WHERE id = NEW.batch_id)
BEGIN SELECT RAISE(ABORT, 'a batch has no more slots than were ordered'); END;
CREATE TRIGGER batch_slots_keep_their_customer BEFORE UPDATE ON batch_slots
WHEN NEW.batch_id <> OLD.batch_id OR NEW.slot <> OLD.slot
  OR NEW.organization <> OLD.organization OR NEW.customer_id <> OLD.customer_id
  OR NEW.application_name <> OLD.application_name OR NEW.expiry_date <> OLD.expiry_date
BEGIN SELECT RAISE(ABORT, 'the customer of a slot is never changed'); END;
CREATE TRIGGER batch_slots_are_never_deleted BEFORE DELETE ON batch_slots
BEGIN SELECT RAISE(ABORT, 'slots of batches are never deleted'); END;

CREATE TABLE batch_allowed(
  batch_id TEXT NOT NULL REFERENCES batches(id),
  mac TEXT NOT NULL CHECK(mac <> ''),
  PRIMARY KEY(batch_id, mac)
) STRICT, WITHOUT ROWID;

ALTER TABLE deployments ADD COLUMN batch_id TEXT NOT NULL DEFAULT '';
ALTER TABLE deployments ADD COLUMN
  batch_slot INTEGER NOT NULL DEFAULT 0 CHECK(batch_slot >= 0);
CREATE INDEX deployments_by_batch ON deployments(batch_id, create_time_us, id);
CREATE TRIGGER deployments_keep_their_batch BEFORE UPDATE ON deployments
WHEN NEW.batch_id <> OLD.batch_id OR NEW.batch_slot <> OLD.batch_slot
BEGIN SELECT RAISE(ABORT, 'the batch of a deployment is never changed'); END;
)sql";

constexpr const char* kMigrations[] = {kSchema1, kSchema2, kSchema3, kSchema4};

}  // namespace

int LatestSchemaVersion() { return static_cast<int>(std::size(kMigrations)); }

absl::Status Migrate(SqliteDatabase& db, int from, int to) {
  for (int version = from + 1; version <= to; ++version) {
    ASSIGN_OR_RETURN(SqliteTransaction transaction,
                     SqliteTransaction::Begin(db, SqliteTransaction::Kind::kImmediate));
    RETURN_IF_ERROR(db.Execute(kMigrations[version - 1])) << "migrating to schema " << version;
    RETURN_IF_ERROR(db.Execute(absl::StrCat("PRAGMA user_version=", version)));
    RETURN_IF_ERROR(transaction.Commit()) << "migrating to schema " << version;
  }
  return absl::OkStatus();
}

}  // namespace kiln::storage
