#ifndef KILN_STORAGE_LEDGER_H_
#define KILN_STORAGE_LEDGER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "storage/batch_ledger.h"

namespace kiln::storage {

// Values are stored by number; never renumber.
enum class DeploymentState {
  kPending = 1,
  kRunning = 2,
  kSucceeded = 3,
  kFailed = 4,
  kCanceled = 5,
  kNeedsAttention = 6,
};

// One deployment as the ledger keeps it. Times are stored in microseconds since
// the epoch.
struct Deployment {
  std::string id;              // UUID, chosen by the daemon
  std::string request_id;      // unique
  std::string request_digest;  // SHA-256 of the order, to tell a repeat from a conflict
  std::string organization;
  std::string customer_id;
  std::string application_name;
  std::string expiry_date;
  std::string bundle_id;
  std::string requested_port;  // a port's name, or "any"
  std::string batch_id;        // the batch that made it; empty for an order of its own
  int batch_slot = 0;          // its place there, from 1; set by the ledger
  std::string port;            // empty until it runs
  DeploymentState state = DeploymentState::kPending;
  int step = 0;  // kiln.v1.Step
  int attempt = 1;
  std::string last_retry_request_id;
  bool cancel_requested = false;
  int progress_percent = 0;
  std::string chip;
  std::string mac;
  uint32_t flash_size_bytes = 0;
  std::string wifi_ssid;
  std::string wifi_password;       // a secret; never leaves through events; lists leave it empty
  bool has_wifi_password = false;  // whether one is stored; set by the ledger, in lists too
  std::string record_path;
  std::string error_code;  // catalogue name; empty without a failure
  std::string error_detail;
  // Everything the ledger need not search: step times, flash statistics
  // (serialized by the pipeline).
  std::string details;
  // Not of the row: with an update that ends an attempt, what its record is to be made of
  // (serialized by the pipeline, without secrets). It is kept apart, in the same transaction, until
  // ForgetDueRecord. Empty for none, and in every answer.
  std::string due_record;
  absl::Time create_time;  // the ledger's clock at creation when left at the epoch
  absl::Time update_time;
  absl::Time start_time = absl::InfinitePast();  // InfinitePast: not yet
  absl::Time end_time = absl::InfinitePast();
  int64_t sequence = 0;  // of the event that made this state
};

// The kind of the events that CreateDeployment and UpdateDeployment append, with the subject
// "deployments/{id}": kiln.v1.EVENT_KIND_DEPLOYMENT.
inline constexpr int kDeploymentEventKind = 1;

// The record of an ended attempt that may not be on disk yet.
struct DueRecord {
  std::string deployment_id;
  int attempt = 1;
  int64_t sequence = 0;  // of the event that made the end
  std::string content;   // Deployment::due_record
};

// A fact to be appended; the ledger adds sequence, time and hash.
struct EventDraft {
  int kind = 0;         // kiln.v1.EventKind
  std::string subject;  // "deployments/{id}", "boards/{port}", ...
  std::string payload;  // what is stored and hashed: bytes of kiln.v1.Event
                        // without sequence and time
};

struct EventRecord {
  int64_t sequence = 0;
  absl::Time time;
  int kind = 0;
  std::string subject;
  std::string payload;
};

struct DeploymentQuery {
  std::vector<DeploymentState> states;  // empty: all
  std::string customer_id;
  std::string mac;
  std::string port;
  std::string bundle_id;
  absl::Time created_after = absl::InfinitePast();
  absl::Time created_before = absl::InfiniteFuture();
  // Part of customer id, organization, application, MAC, SSID or id, without regard to the case of
  // ASCII letters. Walks the history where it is rare.
  std::string text;
  std::string batch_id;
  // Page cursor: only deployments older than this one (by creation time, then
  // id). Empty: from the newest.
  std::string older_than_id;
  int limit = 50;
};

struct EventQuery {
  int64_t after_sequence = 0;
  std::vector<int> kinds;  // empty: all
  std::string subject;     // empty: all
  int limit = 100;
};

struct VerifyResult {
  bool ok = false;
  int64_t events_checked = 0;
  std::string head_hex;
  std::string problem;
};

// Deployments by what has become of them.
struct OutcomeCounts {
  // `by_state[static_cast<int>(state)]`.
  std::array<int64_t, 7> by_state = {};
  // Of the succeeded, those in their first attempt.
  int64_t succeeded_first_attempt = 0;
};

// How many deployments are in each state: `counts[static_cast<int>(state)]`.
using StateCounts = std::array<int64_t, 7>;

struct LedgerOptions {
  // False: no fsync. For tests that open hundreds of ledgers and never lose power; kilnd never sets
  // it.
  bool durable = true;
  // The log is checkpointed when a commit leaves it at least this long. SQLite's own default.
  int checkpoint_pages = 1000;
  // Name of a registered SQLite VFS, for tests that inject faults. Empty: the system's.
  std::string vfs;
};

// Makes the payload of an event once its deployment row is final, inside the
// transaction: the row that is passed has its new `sequence` set already.
using PayloadOf = absl::FunctionRef<std::string(const Deployment&)>;

// The station's memory: SQLite in WAL mode, one connection that writes and
// checkpoints, synchronous=FULL. A call that returns OK is on disk; one that
// fails has changed nothing. Thread-safe: writers queue on one mutex, readers
// use a connection of their own. Created once by main. Errors:
// LedgerWriteFailed, DiskFull, LedgerDamaged (typed), NOT_FOUND,
// ALREADY_EXISTS.
class Ledger : public BatchLedger {
 public:
  // Opens or creates `path` (mode 0600), migrates it, and runs quick_check.
  // LedgerDamaged, with a sentence that says what to do, changes nothing.
  // FAILED_PRECONDITION for a newer schema.
  // A second ledger on the same path, in this process or another, is refused (LedgerWriteFailed)
  // through the lock on `path`.lock. An older schema is copied beside the ledger before it is
  // migrated. `clock` must outlive the ledger.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::string& path, base::Clock& clock);
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::string& path, base::Clock& clock,
                                                      const LedgerOptions& options);

  struct CreateOutcome {
    Deployment deployment;
    bool repeated = false;  // the request id was known, with the same digest
  };
  // One transaction: the row and its event. A known request_id with another
  // digest: RequestConflict. With a `batch_id` the ledger picks a free slot of the batch, whose
  // bundle and customer replace the order's, and the batch's event follows: BatchNotFound;
  // BatchStateWrong when it takes no boards or has no free slot.
  virtual absl::StatusOr<CreateOutcome> CreateDeployment(const Deployment& deployment,
                                                         PayloadOf payload) = 0;

  // One transaction: replaces the row of `deployment.id`, appends its event
  // (sequence and update_time are set in the answer). `expected_sequence`
  // guards against lost updates: ABORTED when the row has moved on.
  // FAILED_PRECONDITION when another deployment runs on the same port. The order (ids, customer,
  // bundle, requested port, creation time) cannot change: INVALID_ARGUMENT. An empty wifi_password
  // keeps the stored one; the answer has it. INTERNAL when the payload or the due record holds the
  // password. Of a deployment in a batch also BoardAlreadyMade when its MAC holds another slot, and
  // BatchSlotTaken or BatchStateWrong when it wants its slot back (see SettleSlot).
  virtual absl::StatusOr<Deployment> UpdateDeployment(const Deployment& deployment,
                                                      int64_t expected_sequence,
                                                      PayloadOf payload) = 0;

  // Appends an event that belongs to no deployment's state.
  virtual absl::StatusOr<EventRecord> AppendEvent(const EventDraft& draft) = 0;

  // With its WiFi password. NOT_FOUND (DeploymentNotFound).
  virtual absl::StatusOr<Deployment> GetDeployment(const std::string& id) = 0;
  // The deployment that `request_id` made; NOT_FOUND (DeploymentNotFound).
  virtual absl::StatusOr<Deployment> FindDeploymentByRequest(const std::string& request_id) = 0;
  // Newest first, without WiFi passwords. `port` means the port that runs or ran it.
  // INVALID_ARGUMENT for a limit below 1 or an unknown cursor.
  virtual absl::StatusOr<std::vector<Deployment>> ListDeployments(const DeploymentQuery& query) = 0;
  // Every PENDING and RUNNING deployment, oldest first, without WiFi passwords.
  virtual absl::StatusOr<std::vector<Deployment>> FindDeploymentsNotEnded() = 0;
  virtual absl::StatusOr<StateCounts> CountByState() = 0;
  // At most `limit`, oldest end first.
  virtual absl::StatusOr<std::vector<DueRecord>> FindDueRecords(int limit) = 0;
  // The record is on disk. No event: nothing that anybody watches has changed. OK when none is due.
  virtual absl::Status ForgetDueRecord(const std::string& deployment_id, int attempt) = 0;
  // Of the deployments created from `after` (inclusive) to `before` (exclusive).
  virtual absl::StatusOr<OutcomeCounts> CountOutcomes(absl::Time after, absl::Time before) = 0;
  // Ascending by sequence.
  virtual absl::StatusOr<std::vector<EventRecord>> ListEvents(const EventQuery& query) = 0;
  // 0 when empty.
  virtual absl::StatusOr<int64_t> LastSequence() = 0;
  // Smallest sequence that is kept; 1 unless trimmed.
  virtual absl::StatusOr<int64_t> FirstSequence() = 0;

  // Called after each commit with the new events, in order, still under the
  // write lock: keep it short and do not call the ledger from it. Set once,
  // before the first write.
  virtual void SetCommitObserver(std::function<void(const EventRecord&)> observer) = 0;

  // integrity_check and every link of the hash chain.
  virtual absl::StatusOr<VerifyResult> Verify() = 0;
  // Cheap: can it be read and written now?
  virtual absl::Status CheckHealth() = 0;

  virtual int schema_version() const = 0;
  static std::string SqliteVersion();
};

}  // namespace kiln::storage

#endif  // KILN_STORAGE_LEDGER_H_
