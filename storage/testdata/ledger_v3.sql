-- A ledger as schema 3 left it: three deployments (finished, running, waiting) and five events.
PRAGMA application_id=1265200238;
PRAGMA journal_mode=WAL;
BEGIN TRANSACTION;
CREATE TABLE chain_head(
  only INTEGER PRIMARY KEY CHECK(only = 1),
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32)
) STRICT;
INSERT INTO "chain_head" VALUES(1,5,X'1B691CB726AA5D92C0B49CDB4E9D3234B21B6C9CA40FDF2B1906F9A011A53B88');
CREATE TABLE deployment_secrets(
  deployment_id TEXT NOT NULL PRIMARY KEY REFERENCES deployments(id),
  wifi_password TEXT NOT NULL CHECK(wifi_password <> '')
) STRICT, WITHOUT ROWID;
INSERT INTO "deployment_secrets" VALUES('old-1','correct-horse-7');
INSERT INTO "deployment_secrets" VALUES('old-2','battery-staple-9');
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
  sequence INTEGER NOT NULL REFERENCES events(sequence), has_wifi_password INTEGER NOT NULL DEFAULT 0 CHECK(has_wifi_password IN (0, 1)),
  CHECK(state <> 2 OR port <> '')
) STRICT;
INSERT INTO "deployments" VALUES('old-1','request-1',X'0101010101010101010101010101010101010101010101010101010101010101','โรงงานกรุงเทพ','BGK001','Smart Meter','2027-01-31','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','any','usb-1-1',3,9,1,'',0,100,'ESP32-C3','7c:df:a1:00:00:01',4194304,'SMC_ESP32_BGK001','/exports/a.json','','',X'0801',1790000000000001,1790000003000000,1790000000000006,1790000000000010,3,1);
INSERT INTO "deployments" VALUES('old-2','request-2',X'0202020202020202020202020202020202020202020202020202020202020202','โรงงานกรุงเทพ','BGK002','Smart Meter','2027-01-31','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','any','usb-1-2',2,4,1,'',0,40,'ESP32-C3','7c:df:a1:00:00:02',4194304,'SMC_ESP32_BGK002','','','',X'0801',1790000000000002,1790000004000000,1790000000000007,NULL,4,1);
INSERT INTO "deployments" VALUES('old-3','request-3',X'0303030303030303030303030303030303030303030303030303030303030303','โรงงานกรุงเทพ','BGK003','Smart Meter','2027-01-31','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','any','',1,4,1,'',0,40,'ESP32-C3','7c:df:a1:00:00:03',4194304,'SMC_ESP32_BGK003','','','',X'0801',1790000000000003,1790000005000000,1790000000000008,NULL,5,0);
CREATE TABLE events(
  sequence INTEGER PRIMARY KEY CHECK(sequence > 0),
  time_us INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK(kind > 0),
  subject TEXT NOT NULL,
  payload BLOB NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32)
) STRICT;
INSERT INTO "events" VALUES(1,1790000001000000,5,'station',X'0073746172746564FF',X'70C8BCD2DEEF4A204846F8BCB2A6C2C1BBF5F9BF499B2BA1A6A73A6262D4210B');
INSERT INTO "events" VALUES(2,1790000002000000,1,'deployments/old-1',X'63726561746564',X'F3FD16BE98C9B8B169C74F6D70DBB16E630A361E8839C65CC062FF9B079276C2');
INSERT INTO "events" VALUES(3,1790000003000000,1,'deployments/old-1',X'646F6E65',X'AFD0D107F36B451BE703F2BF6C4E28435942862950F7195379D8F056B4F8A20A');
INSERT INTO "events" VALUES(4,1790000004000000,1,'deployments/old-2',X'72756E6E696E67',X'8282B1DD15C96EA8C98A1C65D66F87DEFE260A95A3B1890E579D14C1F27BF06E');
INSERT INTO "events" VALUES(5,1790000005000000,1,'deployments/old-3',X'E0B8A3E0B8AD',X'1B691CB726AA5D92C0B49CDB4E9D3234B21B6C9CA40FDF2B1906F9A011A53B88');
CREATE TRIGGER events_have_no_gaps BEFORE INSERT ON events
WHEN NEW.sequence <> 1 + coalesce((SELECT max(sequence) FROM events), 0)
BEGIN SELECT RAISE(ABORT, 'events are numbered without gaps'); END;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE UNIQUE INDEX deployments_one_running_per_port ON deployments(port) WHERE state = 2;
CREATE INDEX deployments_by_time ON deployments(create_time_us, id);
CREATE INDEX deployments_by_state ON deployments(state, create_time_us, id);
CREATE INDEX deployments_by_customer ON deployments(customer_id, create_time_us, id);
CREATE INDEX deployments_by_mac ON deployments(mac, create_time_us, id);
CREATE INDEX deployments_by_port ON deployments(port, create_time_us, id);
CREATE INDEX deployments_by_bundle ON deployments(bundle_id, create_time_us, id);
CREATE INDEX events_by_subject ON events(subject, sequence);
CREATE INDEX events_by_kind ON events(kind, sequence);
CREATE TRIGGER deployments_keep_their_order BEFORE UPDATE ON deployments
WHEN NEW.id <> OLD.id OR NEW.request_id <> OLD.request_id
  OR NEW.request_digest <> OLD.request_digest OR NEW.organization <> OLD.organization
  OR NEW.customer_id <> OLD.customer_id OR NEW.application_name <> OLD.application_name
  OR NEW.expiry_date <> OLD.expiry_date OR NEW.bundle_id <> OLD.bundle_id
  OR NEW.requested_port <> OLD.requested_port OR NEW.create_time_us <> OLD.create_time_us
BEGIN SELECT RAISE(ABORT, 'the order of a deployment is never changed'); END;
CREATE TRIGGER deployments_are_never_deleted BEFORE DELETE ON deployments
BEGIN SELECT RAISE(ABORT, 'deployments are never deleted'); END;
CREATE TRIGGER events_move_the_head AFTER INSERT ON events
BEGIN UPDATE chain_head SET sequence = NEW.sequence, hash = NEW.hash; END;
CREATE TABLE due_records(
  deployment_id TEXT NOT NULL REFERENCES deployments(id),
  attempt INTEGER NOT NULL CHECK(attempt >= 1),
  sequence INTEGER NOT NULL REFERENCES events(sequence),
  content BLOB NOT NULL,
  PRIMARY KEY(deployment_id, attempt)
) STRICT, WITHOUT ROWID;
PRAGMA user_version=3;
COMMIT;
